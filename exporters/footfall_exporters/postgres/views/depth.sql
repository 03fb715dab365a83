-- How many different features each active group used on a day (UTC): counted once, with the groups of that
-- day, of all features and of each product's. Exact for the operator; others are shown no figure that
-- fewer than five groups stand behind
WITH ranked AS (
    SELECT *, sum(groups) OVER whole AS total, sum(groups) OVER (whole ORDER BY features) AS lower,
           sum(groups) OVER (whole ORDER BY features DESC) AS upper
    FROM footfall.groups_depth WINDOW whole AS (PARTITION BY start, scope, attribute, product)
), told AS (
    SELECT start, scope, attribute, product, max(reason) AS reason, sum(groups)::bigint AS groups,
           (sum(features * groups) / sum(groups))::float8 AS mean,
           min(features) FILTER (WHERE lower >= 0.5 * total) AS median,
           min(features) FILTER (WHERE lower >= 0.9 * total) AS p90,
           least(min(lower) FILTER (WHERE lower >= 0.5 * total), max(upper) FILTER (WHERE lower >= 0.5 * total)) AS halves,
           max(upper) FILTER (WHERE lower >= 0.9 * total) AS tenth,
           coalesce(sum(groups) FILTER (WHERE features = 1), 0)::bigint AS groups_1,
           coalesce(sum(groups) FILTER (WHERE features BETWEEN 2 AND 3), 0)::bigint AS groups_2_3,
           coalesce(sum(groups) FILTER (WHERE features BETWEEN 4 AND 7), 0)::bigint AS groups_4_7,
           coalesce(sum(groups) FILTER (WHERE features >= 8), 0)::bigint AS groups_8_up
    FROM ranked GROUP BY 1, 2, 3, 4
), judged AS (
    SELECT *, {operator} AS may,
           least(nullif(groups_1, 0), nullif(groups_2_3, 0), nullif(groups_4_7, 0), nullif(groups_8_up, 0)) >= {fewest}
               AS banded,
           NOT EXISTS (
               SELECT FROM footfall.groups_counts c
               WHERE c.span = 'day' AND c.scope = 'feature' AND c.start = told.start AND c.attribute = told.attribute
               AND (told.scope = 'all' OR c.product = told.product) AND c.groups < {fewest}
           ) AS whole
    FROM told
)
SELECT start AS day, attribute, scope, nullif(product, '') AS product,
       CASE WHEN may OR groups >= {fewest} THEN groups END AS groups,
       CASE WHEN may OR groups >= {fewest} AND whole THEN mean END AS mean,
       CASE WHEN may OR halves >= {fewest} THEN median END AS median,
       CASE WHEN may OR tenth >= {fewest} THEN p90 END AS p90,
       CASE WHEN may OR banded THEN groups_1 END AS groups_1,
       CASE WHEN may OR banded THEN groups_2_3 END AS groups_2_3,
       CASE WHEN may OR banded THEN groups_4_7 END AS groups_4_7,
       CASE WHEN may OR banded THEN groups_8_up END AS groups_8_up,
       CASE WHEN may OR groups IS NULL OR banded AND whole AND least(halves, tenth) >= {fewest} THEN reason ELSE 'few' END
           AS reason
FROM judged
