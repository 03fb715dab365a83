-- What was counted, beyond observations, by the commits after a position?
SELECT d.event, d.action, d.surface, d.feature, coalesce(d.environment, '') AS environment,
       coalesce((SELECT min(p.product) FROM footfall.catalog_events p WHERE p.event = d.event), '') AS product,
       sum(n.number)::bigint AS number
FROM footfall.commits c CROSS JOIN LATERAL unnest(c.count_dims, c.count_values) AS n (dim_id, number)
JOIN footfall.feature_dims d ON d.id = n.dim_id
WHERE c.position > %(position)s AND c.position <= %(until)s AND d.surface <> 'footfall'
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 5
