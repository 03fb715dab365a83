-- Weeks and months that are over, of which days are counted and they are not; the newest first.
SELECT p.span, p.start FROM (
    SELECT DISTINCT s.span, date_trunc(s.span, g.start::timestamp)::date AS start
    FROM footfall.groups_counts g, (VALUES ('week'), ('month')) AS s (span)
    WHERE g.span = 'day' AND g.scope = 'all'
) AS p
WHERE (p.start + ('1 ' || p.span)::interval)::date <= %(until)s
AND NOT EXISTS (SELECT FROM footfall.groups_counted c WHERE c.span = p.span AND c.start = p.start)
ORDER BY p.start DESC, p.span
