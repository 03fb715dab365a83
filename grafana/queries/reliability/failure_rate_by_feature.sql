-- Of what ended (success, failure), the share that did not end well, of the six features with the most failures: 0 where all did. Of few ends it means little.
WITH counted AS MATERIALIZED (
    SELECT {time}, surface, feature, sum(count) AS ended,
           coalesce(sum(count) FILTER (WHERE {failed}), 0) AS failed
    FROM {series} WHERE {selected} AND {ended}
    GROUP BY 1, 2, 3
), most AS MATERIALIZED (
    SELECT surface, feature FROM counted
    GROUP BY 1, 2 ORDER BY sum(failed) DESC, (surface || ' · ' || feature) COLLATE "C" LIMIT 6
)
SELECT "time", surface || ' · ' || feature AS metric, (failed / ended)::float8 AS value
FROM most JOIN counted USING (surface, feature)
ORDER BY 1, 2
