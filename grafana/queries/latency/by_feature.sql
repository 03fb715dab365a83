-- How long uses took that have a duration, failures included: percentiles at most 2.2 % from the use of that rank. Of a range of more than two days it is of all of its days. Of more than a hundred rows those with the most observations.
WITH summed AS MATERIALIZED (
    SELECT surface, feature, sum(observations)::bigint AS observations,
           sum(histogram) AS histogram
    FROM {durations} WHERE {selected}
    GROUP BY surface, feature
)
SELECT surface AS "Surface", feature AS "Feature", observations AS "Observations",
       ms[1] AS "p50", ms[2] AS "p95", ms[3] AS "p99"
FROM (SELECT * FROM summed ORDER BY observations DESC LIMIT 100) AS most,
     reporting.duration_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY "p95" DESC, surface, feature
