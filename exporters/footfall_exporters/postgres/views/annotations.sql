-- What happened, one row each: what operators say, and when each version of a service was first seen
WITH stale AS MATERIALIZED ({stale}), counted AS (
    SELECT day, dim_id FROM footfall.feature_counts_days WHERE day <> ALL (ARRAY(SELECT day FROM stale))
    UNION ALL
    SELECT d.day, h.dim_id FROM stale d CROSS JOIN LATERAL ({of_hours}) AS h
), versions AS (
    SELECT d.service, d.service_version, d.environment, min(c.day) AS day
    FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
    WHERE d.surface <> 'footfall' AND d.service_version IS NOT NULL
    GROUP BY 1, 2, 3
)
SELECT 'note' AS kind, id::text AS id, at, nullif(product, '') AS product, NULL AS service,
       NULL AS environment, nullif(version, '') AS version, text
FROM footfall.annotations
UNION ALL
SELECT 'version', NULL, (
    SELECT min(c.hour) FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
    WHERE c.hour >= v.day::timestamp AT TIME ZONE 'UTC' AND c.hour < (v.day + 1)::timestamp AT TIME ZONE 'UTC'
    AND d.surface <> 'footfall' AND d.service_version = v.service_version
    AND d.service IS NOT DISTINCT FROM v.service AND d.environment IS NOT DISTINCT FROM v.environment
), NULL, v.service, v.environment, v.service_version, concat_ws(' ', v.service, v.service_version)
FROM versions v
