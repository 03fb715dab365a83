-- 95 of 100 uses took at most this long, to 2.2 %: of the six features with the most observations. A point of a day is of all of that day, and so is what is older than 8 days.
WITH summed AS MATERIALIZED (
    SELECT $__timeGroupAlias(at, ${bucket}), surface || ' · ' || feature AS metric, sum(histogram) AS histogram
    FROM {duration_series} WHERE {selected}
    GROUP BY 1, 2
), most AS MATERIALIZED (
    SELECT metric FROM (SELECT metric, sum(histogram) AS histogram FROM summed GROUP BY 1) AS each
    ORDER BY {observations} DESC, metric COLLATE "C" LIMIT 6
)
SELECT "time", metric, ms[1] AS value
FROM most JOIN summed USING (metric), reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY 1, 2
