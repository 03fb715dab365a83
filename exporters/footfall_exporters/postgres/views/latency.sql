-- Durations per day (UTC), up to half a minute ago: a percentile is at most 2.2 % from the observation of
-- that rank (nearest rank)
SELECT day, surface, feature, event, action, observations, p50_ms, p95_ms, p99_ms
FROM footfall.latency_percentiles WHERE observations > 0
UNION ALL
SELECT day, surface, feature, event, action, footfall.latency_number(histogram),
       ms[1], ms[2], ms[3]
FROM (
    SELECT u.day, d.surface, d.feature, d.event, d.action,
           sum(u.histogram) AS histogram
    FROM ({unfilled}) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
    GROUP BY 1, 2, 3, 4, 5
) AS summed, footfall.latency_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
