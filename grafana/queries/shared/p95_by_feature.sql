-- 95 of 100 uses took at most this long, to 2.2 %: of the six features with the most observations. A point of a day is of all of that day, and so is what is older than 8 days.
WITH most AS MATERIALIZED (
    SELECT surface, feature FROM {duration_series} WHERE {selected}
    GROUP BY 1, 2 ORDER BY sum(observations) DESC, (surface || ' · ' || feature) COLLATE "C" LIMIT 6
)
SELECT "time", surface || ' · ' || feature AS metric, ms[1] AS value
FROM (
    SELECT {time}, surface, feature, sum(histogram) AS histogram
    FROM {duration_series} JOIN most USING (surface, feature)
    WHERE {selected} AND feature = ANY (ARRAY(SELECT feature FROM most))
    GROUP BY 1, 2, 3
) AS summed, reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY 1, 2
