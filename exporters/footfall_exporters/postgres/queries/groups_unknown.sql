-- Of a period whose groups cannot be told apart: what was used on its days, without a number.
INSERT INTO footfall.groups_counts (span, scope, start, attribute, product, feature, event, kind, reason)
SELECT DISTINCT %(span)s, scope, %(start)s::date, attribute, product, feature, event, %(kind)s, %(reason)s
FROM footfall.groups_counts
WHERE span = 'day' AND attribute = %(attribute)s AND start >= %(start)s AND start < %(end)s
ON CONFLICT DO NOTHING
