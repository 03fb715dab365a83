-- Sent by which service, of those of the range; "(none)" was sent by nobody, or not kept.
SELECT DISTINCT coalesce(service, '(none)') FROM reporting.usage_by_day
WHERE {days} AND {of_product}
ORDER BY 1
