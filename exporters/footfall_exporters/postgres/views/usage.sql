-- Exact occurrences per hour (UTC): how often
SELECT c.hour, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
       d.service, d.service_version, d.environment{dims}, c.count
FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
WHERE d.surface <> 'footfall'
