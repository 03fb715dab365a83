-- Of the last week that is counted: how many groups used each event, and their share of all that used its product. By
-- the attribute that most of the product's events have; of the whole week, or where its hash does not allow that, of
-- an average day of it. Where something was sampled, or is not known, there is no number.
WITH week AS MATERIALIZED (
    SELECT max(start) AS start FROM footfall.groups_counts WHERE span = 'week' AND scope = 'all'
), attributes AS MATERIALIZED (
    SELECT DISTINCT ON (product) product, attribute
    FROM footfall.groups_counts JOIN week USING (start) WHERE span = 'week' AND scope = 'event'
    GROUP BY product, attribute ORDER BY product, count(*) DESC, attribute
), figures AS MATERIALIZED (
    SELECT g.product, g.event, g.span,
           CASE WHEN bool_and(g.reason IS NULL) THEN sum(g.groups) / (CASE g.span WHEN 'day' THEN 7 ELSE 1 END) END
               AS groups, min(g.groups) AS fewest
    FROM week w JOIN footfall.groups_counts g
        ON g.span IN ('day', 'week') AND g.scope IN ('product', 'event') AND g.start >= w.start
        AND g.start < w.start + 7
    JOIN attributes USING (product, attribute) GROUP BY 1, 2, 3
), products AS (
    SELECT DISTINCT ON (product) product, span, groups FROM figures
    WHERE event = '' ORDER BY product, span = 'week' AND groups IS NULL, span DESC
)
SELECT f.product, f.event, f.span, f.groups::float8 AS groups, f.fewest, (f.groups / p.groups)::float8 AS adoption
FROM products p JOIN figures f USING (product, span) WHERE f.event <> ''
