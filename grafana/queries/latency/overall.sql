-- Half of the uses, 95 and 99 of 100 took at most this long, in the range: of observations that have a duration, to 2.2 %. Of a range of more than two days it is of all of its days.
WITH summed AS MATERIALIZED (
    SELECT sum(histogram) AS histogram FROM {durations} WHERE {selected}
)
SELECT ms[1] AS "p50", ms[2] AS "p95", ms[3] AS "p99"
FROM summed, reporting.duration_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
WHERE ms[1] IS NOT NULL
