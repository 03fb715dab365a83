-- 95 of 100 uses of each version took at most this long, to 2.2 %. A point stands for hours as long as these are kept (7 days), and for a day before.
WITH summed AS MATERIALIZED (
    SELECT $__timeGroupAlias(at, ${bucket}), {version} AS metric, sum(histogram) AS histogram
    FROM {durations} WHERE {selected}
    GROUP BY 1, 2 HAVING sum(observations) > 0
)
SELECT "time", metric, ms[1] AS value
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.95]) AS ms
ORDER BY 1, 2
