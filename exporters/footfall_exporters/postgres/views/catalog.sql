-- One row per event that a catalog declares or declared, with what came of it in all: 0 where nobody has
-- used it
SELECT product, event, title, nullif(description, '') AS description, nullif(owner, '') AS owner,
       surface, feature, actions, expires, declared, first_declared, last_declared, version,
       coalesce(count, 0)::bigint AS count, last_used
FROM footfall.catalog_events LEFT JOIN (
    SELECT d.event, sum(c.count) AS count, max(c.hour) AS last_used
    FROM (
        SELECT dim_id, sum(count) AS count, max(hour) AS hour
        FROM footfall.feature_counts GROUP BY dim_id
    ) AS c JOIN footfall.feature_dims d ON d.id = c.dim_id GROUP BY d.event
) AS used USING (event)
