-- How many observations of each kind were stored by the commits after a position?
SELECT d.event, d.action, d.surface, d.feature, coalesce(d.environment, '') AS environment,
       coalesce((SELECT min(p.product) FROM footfall.catalog_events p WHERE p.event = d.event), '') AS product,
       sum(n.number)::bigint AS number
FROM (
    SELECT e.dim_id, count(*) AS number
    FROM footfall.commits c CROSS JOIN LATERAL unnest(c.requests) AS r (id)
    JOIN footfall.feature_events e ON e.batch_id = r.id AND e.time >= c.first_time AND e.time <= c.last_time
    WHERE c.position > %(position)s AND c.position <= %(until)s
    GROUP BY 1
) n JOIN footfall.feature_dims d ON d.id = n.dim_id
WHERE d.surface <> 'footfall'
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 5
