-- What is used: the six features that are used most, and the others together. Exact counts, without beginnings.
WITH counted AS MATERIALIZED (
    SELECT $__timeGroupAlias(at, ${bucket}), surface || ' · ' || feature AS metric, sum(count) AS value
    FROM {series} WHERE {selected} AND {is_use}
    GROUP BY 1, 2
), most AS MATERIALIZED (
    SELECT metric FROM counted GROUP BY 1 ORDER BY sum(value) DESC, metric COLLATE "C" LIMIT 6
)
SELECT "time", coalesce(most.metric, 'others') AS metric, sum(value)::bigint AS value
FROM counted LEFT JOIN most ON most.metric = counted.metric
GROUP BY 1, 2 ORDER BY 1, 2
