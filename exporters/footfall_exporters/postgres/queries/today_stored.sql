-- How often did each event happen since a midnight (UTC), and in which hour last?
SELECT d.event, d.action, sum(c.count)::bigint AS number, max(c.hour) AS hour
FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
WHERE c.hour >= %(midnight)s AND d.surface <> 'footfall'
GROUP BY 1, 2
