-- Counts the groups of a period, in all and of each product, feature and event. Observations are read once, and
-- leave as few rows as there are pairs of a cell (what has the same product, feature and event) and a group. What
-- has one cell has its number then; of several, each set of cells is put together once, whosever it is. Of a day, the
-- same pairs say how many features each group used, and of that how many groups used how many is kept (`depth`).
WITH dims AS MATERIALIZED (
    SELECT d.id AS dim_id, d.surface <> 'footfall' AS is_own, coalesce(c.product, '') AS product, d.feature, d.event,
           dense_rank() OVER (ORDER BY d.surface <> 'footfall', c.product, d.feature, d.event) AS cell
    FROM footfall.feature_dims d LEFT JOIN (
        SELECT DISTINCT ON (event) event, product FROM footfall.catalog_events
        ORDER BY event, declared DESC, last_declared DESC, product
    ) AS c USING (event)
), seen AS MATERIALIZED (
    SELECT d.cell, e.hash, bool_or(e.sample_rate < 1) AS sampled
    FROM ({observed}) AS e JOIN dims d USING (dim_id) GROUP BY 1, 2
), cells AS MATERIALIZED (
    SELECT DISTINCT cell, is_own, product, feature, event FROM dims
), used AS (
    SELECT c.product, c.feature, s.hash, bool_or(s.sampled) AS sampled FROM seen s JOIN cells c USING (cell)
    WHERE c.is_own AND %(span)s::text IN ('day', 'depth') GROUP BY 1, 2, 3
), deep AS (
    SELECT CASE WHEN grouping(product) = 1 THEN 'all' ELSE 'product' END AS scope, coalesce(product, '') AS product,
           CASE WHEN %(reason)s::text IS NULL THEN count(*) ELSE 0 END AS features, bool_or(sampled) AS sampled
    FROM used GROUP BY GROUPING SETS ((product, hash), (hash))
), depth AS (
    INSERT INTO footfall.groups_depth (scope, start, attribute, product, features, groups, reason)
    SELECT scope, %(start)s, %(attribute)s, product, features,
           CASE WHEN %(reason)s::text IS NULL THEN count(*) END,
           coalesce(%(reason)s, CASE WHEN bool_or(bool_or(sampled)) OVER (PARTITION BY scope, product) THEN 'sampled' END)
    FROM deep GROUP BY scope, product, features ON CONFLICT DO NOTHING
), targets AS MATERIALIZED (
    SELECT t.*, array_agg(s.cell ORDER BY s.cell) AS cells, sum(s.groups) AS groups, bool_or(s.sampled) AS sampled
    FROM (SELECT cell, count(*) AS groups, bool_or(sampled) AS sampled FROM seen GROUP BY cell) AS s
    JOIN cells d USING (cell) CROSS JOIN LATERAL (VALUES
        ('all', '', '', ''), ('product', d.product, '', ''),
        ('feature', d.product, d.feature, ''), ('event', d.product, '', d.event)
    ) AS t (scope, product, feature, event)
    WHERE (t.scope = 'all' OR d.is_own) AND %(span)s::text <> 'depth' GROUP BY 1, 2, 3, 4
), sets AS MATERIALIZED (
    SELECT cells, row_number() OVER () AS number
    FROM (SELECT DISTINCT cells FROM targets WHERE cardinality(cells) > 1) AS several
), together AS (
    SELECT number, count(*) AS groups FROM (
        SELECT DISTINCT m.number, s.hash
        FROM (SELECT number, unnest(cells) AS cell FROM sets) AS m JOIN seen s USING (cell)
    ) AS pairs GROUP BY number
)
INSERT INTO footfall.groups_counts
    (span, scope, start, attribute, product, feature, event, kind, groups, reason)
SELECT %(span)s, t.scope, %(start)s, %(attribute)s, t.product, t.feature, t.event, %(kind)s,
       CASE WHEN %(reason)s::text IS NULL THEN coalesce(g.groups, t.groups) END,
       coalesce(%(reason)s, CASE WHEN t.sampled THEN 'sampled' END)
FROM targets t LEFT JOIN sets USING (cells) LEFT JOIN together g USING (number)
ON CONFLICT DO NOTHING
