-- What is used: the six features that are used most, and the others together. Exact counts, without beginnings.
WITH counted AS MATERIALIZED (
    SELECT {time}, surface, feature, sum(count) AS value
    FROM {series} WHERE {selected} AND {is_use}
    GROUP BY 1, 2, 3
), most AS MATERIALIZED (
    SELECT surface, feature, surface || ' · ' || feature AS metric FROM counted
    GROUP BY 1, 2 ORDER BY sum(value) DESC, (surface || ' · ' || feature) COLLATE "C" LIMIT 6
)
SELECT "time", coalesce(metric, 'others') AS metric, sum(value)::bigint AS value
FROM counted LEFT JOIN most USING (surface, feature)
GROUP BY 1, 2 ORDER BY 1, 2
