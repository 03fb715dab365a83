-- Half of the uses, 95 and 99 of 100 took at most this long, to 2.2 %: of observations that have a duration, failures included. A point of a day is of all of that day, and so is what is older than 8 days.
WITH summed AS MATERIALIZED (
    SELECT {time}, sum(histogram) AS histogram
    FROM {duration_series} WHERE {selected}
    GROUP BY 1
)
SELECT "time", name AS metric, ms AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS every,
     unnest(ARRAY['p50', 'p95', 'p99'], every) AS one (name, ms)
WHERE ms IS NOT NULL
ORDER BY 1, 2
