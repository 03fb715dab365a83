-- 95 of 100 uses on each surface took at most this long, to 2.2 %.
WITH summed AS MATERIALIZED (
    SELECT {time}, surface AS metric, sum(histogram) AS histogram
    FROM {duration_series} WHERE {selected}
    GROUP BY 1, 2
)
SELECT "time", metric, ms[1] AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY 1, 2
