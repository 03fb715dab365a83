-- Durations per day (UTC) and dimension, up to half a minute ago, as histograms that sum() adds (ADR 34):
-- what latency is made of, for other days and columns together
SELECT u.day, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
       d.service, d.service_version, d.environment{dims},
       u.observations, u.histogram
FROM (
    SELECT day, dim_id, observations, histogram FROM footfall.latency_days
    UNION ALL
    SELECT day, dim_id, footfall.latency_number(sum(histogram)), sum(histogram)
    FROM ({unfilled}) AS f GROUP BY day, dim_id
) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
