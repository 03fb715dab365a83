-- The same per hour (UTC) of the last 8 days
SELECT u.hour, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
       d.service, d.service_version, d.environment{dims},
       u.observations, u.histogram
FROM (
    SELECT hour, dim_id, observations, histogram FROM footfall.latency_hours
    UNION ALL
    SELECT hour, dim_id, footfall.latency_number(sum(histogram)), sum(histogram)
    FROM ({unfilled}) AS f GROUP BY hour, dim_id
) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
WHERE u.hour >= now() - interval {hours}
