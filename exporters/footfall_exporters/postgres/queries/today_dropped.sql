-- What did applications drop since a midnight (UTC), before it was sent?
SELECT d.drop_reason AS reason, coalesce(d.service, '') AS service, sum(c.count)::bigint AS number
FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
WHERE c.hour >= %(midnight)s AND d.event = 'footfall.dropped' AND d.drop_reason IS NOT NULL
GROUP BY 1, 2
