-- What happened, one row each: what operators say, and when each version of a service was first seen
WITH stale AS MATERIALIZED ({stale}), counted AS NOT MATERIALIZED ({counted})
SELECT 'note' AS kind, id::text AS id, at, nullif(product, '') AS product, NULL AS service,
       NULL AS environment, nullif(version, '') AS version, text
FROM footfall.annotations
UNION ALL
-- An hour has twenty decimal digits: how many zeros are at the end says which is the first one.
SELECT 'version', NULL, min(
    f.day + (length(c.hours::text) - length(rtrim(c.hours::text, '0'))) / 20 * interval '1 hour'
) AT TIME ZONE 'UTC', NULL, d.service, d.environment, d.service_version, concat_ws(' ', d.service, d.service_version)
FROM (SELECT dim_id, min(day) AS day FROM counted WHERE count > 0 GROUP BY dim_id) AS f
JOIN counted c USING (dim_id, day) JOIN footfall.feature_dims d ON d.id = f.dim_id
WHERE d.surface <> 'footfall' AND d.service_version IS NOT NULL
GROUP BY d.service, d.service_version, d.environment
