-- One row per event that a catalog declares or declared, with what came of it in all: 0 where nobody has
-- used it. Who asks for no counts has none of it read: all that counts is within the join.
SELECT product, event, title, nullif(description, '') AS description, nullif(owner, '') AS owner,
       surface, feature, actions, expires, declared, first_declared, last_declared, version,
       coalesce(count, 0)::bigint AS count, last_used
FROM footfall.catalog_events LEFT JOIN (
    WITH stale AS MATERIALIZED ({stale}), counted AS NOT MATERIALIZED ({counted})
    -- An hour has twenty decimal digits: how long the number is says which is the last one.
    SELECT d.event, sum(e.count) AS count,
           max(e.day + (length(c.hours::text) - 1) / 20 * interval '1 hour') AT TIME ZONE 'UTC' AS last_used
    FROM (
        SELECT dim_id, sum(count) AS count, max(day) AS day FROM counted WHERE count > 0 GROUP BY dim_id
    ) AS e JOIN counted c USING (dim_id, day) JOIN footfall.feature_dims d ON d.id = e.dim_id GROUP BY d.event
) AS used USING (event)
