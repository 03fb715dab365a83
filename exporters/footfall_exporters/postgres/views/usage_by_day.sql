-- The same occurrences per day (UTC): faster over many days, and by the hour as well (reporting.hours_of)
WITH stale AS MATERIALIZED ({stale}), counted AS ({counted})
SELECT c.day, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
       d.service, d.service_version, d.environment{dims}, c.count, c.hours
FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
WHERE d.surface <> 'footfall'
