-- Distinct hashed values per day, week (from Monday on) and month (UTC): in all, and of each product,
-- feature and event. Counted once the period has settled; they cannot be added
SELECT g.span AS period, g.start AS day, g.attribute, g.scope, nullif(g.product, '') AS product,
       coalesce(nullif(g.feature, ''), c.feature) AS feature, nullif(g.event, '') AS event,
       CASE WHEN g.groups >= {fewest} OR {operator} THEN g.groups END AS groups,
       CASE WHEN g.groups >= {fewest} OR {operator} OR g.groups IS NULL THEN g.reason ELSE 'few' END
           AS reason
FROM footfall.groups_counts g LEFT JOIN footfall.catalog_events c USING (product, event)
