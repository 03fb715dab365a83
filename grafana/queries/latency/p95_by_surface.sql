-- 95 of 100 uses on each surface took at most this long, to 2.2 %.
WITH summed AS MATERIALIZED (
    SELECT $__timeGroupAlias(at, ${bucket}), surface AS metric, sum(histogram) AS histogram
    FROM {durations} WHERE {selected}
    GROUP BY 1, 2 HAVING sum(observations) > 0
)
SELECT "time", metric, ms[1] AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
ORDER BY 1, 2
