-- The inventory: one row per declared event with what came of it in the last days (UTC) that are over,
-- against as many before, and a verdict; made anew every hour
SELECT product, event, title, nullif(owner, '') AS owner, surface, feature, expires,
       i.last_day, i.days, i.uses, i.uses_before,
       i.uses / nullif(i.uses_before, 0)::float8 - 1 AS change,
       i.low - 1 AS change_low, i.high - 1 AS change_high,
       i.failures / nullif(i.ends, 0)::float8 AS failures,
       {failures_low} AS failures_low, {failures_high} AS failures_high, i.p95_ms, i.first_used, i.last_used,
       a.groups AS active_groups, a.span AS active_per, a.adoption,
       CASE WHEN i.event IS NULL THEN NULL
            WHEN expires <= i.last_day THEN 'expired' WHEN expires <= i.last_day + 30 THEN 'expiring'
            WHEN i.uses > 0 THEN i.trend
            WHEN (first_declared AT TIME ZONE 'UTC')::date > i.last_day - i.days THEN 'new'
            ELSE 'unused' END AS verdict
FROM footfall.catalog_events LEFT JOIN footfall.inventory i USING (event) LEFT JOIN (
    SELECT product, event, span, groups, adoption FROM ({adoption}) AS used
    WHERE fewest >= {fewest} OR {operator}
) AS a USING (product, event)
WHERE declared
