-- 95 of 100 uses of each version took at most this long, to 2.2 %. A point of a day is of all of that day, and so is what is older than 8 days.
WITH summed AS MATERIALIZED (
    SELECT {time}, {version} AS metric, sum(histogram) AS histogram
    FROM {duration_series} WHERE {selected}
    GROUP BY 1, 2
)
SELECT "time", metric, ms[1] AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY 1, 2
