-- How many events of applications happened in each of the last hours, and how many of them failed?
SELECT c.hour, sum(c.count)::bigint AS events,
       coalesce(sum(c.count) FILTER (WHERE d.status <> 'ok'), 0)::bigint AS failed
FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
WHERE c.hour >= %(since)s AND d.surface <> 'footfall'
GROUP BY c.hour
