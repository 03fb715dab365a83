-- Half of the uses, 95 and 99 of 100 took at most this long, to 2.2 %: of observations that have a duration, failures included.
WITH summed AS MATERIALIZED (
    SELECT $__timeGroupAlias(at, ${bucket}), sum(histogram) AS histogram
    FROM {durations} WHERE {selected}
    GROUP BY 1 HAVING sum(observations) > 0
)
SELECT "time", name AS metric, ms AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS of,
     unnest(ARRAY['p50', 'p95', 'p99'], of) AS one (name, ms)
ORDER BY 1, 2
