-- Decodes what days come to now, of the events to which something was added: sums first, or each would be decoded.
WITH touched AS MATERIALIZED (
    SELECT DISTINCT t.day, d.surface, d.feature, d.event, d.action
    FROM unnest(%s::date[], %s::integer[]) AS t (day, dim_id)
    JOIN footfall.feature_dims d ON d.id = t.dim_id
), summed AS MATERIALIZED (
    SELECT l.day, d.surface, d.feature, d.event, d.action, sum(l.histogram) AS histogram
    FROM footfall.latency_days l JOIN footfall.feature_dims d ON d.id = l.dim_id
    WHERE l.day = ANY(%s::date[]) GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO footfall.latency_percentiles AS p
    (day, surface, feature, event, action, observations, p50_ms, p95_ms, p99_ms)
SELECT day, surface, feature, event, action, footfall.latency_number(histogram), ms[1], ms[2], ms[3]
FROM summed JOIN touched USING (day, surface, feature, event, action),
     footfall.latency_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (day, surface, feature, event, action) DO UPDATE SET observations = excluded.observations,
    p50_ms = excluded.p50_ms, p95_ms = excluded.p95_ms, p99_ms = excluded.p99_ms
