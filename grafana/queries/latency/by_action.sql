-- The same by how it ended: a timeout takes its time, a refusal is quick. Of more than a hundred rows those with the most observations.
WITH summed AS MATERIALIZED (
    SELECT feature, event, action, sum(observations)::bigint AS observations,
           sum(histogram) AS histogram
    FROM {durations} WHERE {selected}
    GROUP BY feature, event, action
)
SELECT feature AS "Feature", event AS "Event", action AS "Action", observations AS "Observations",
       ms[1] AS "p50", ms[2] AS "p95", ms[3] AS "p99"
FROM (SELECT * FROM summed ORDER BY observations DESC LIMIT 100) AS most,
     reporting.duration_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
WHERE ms[1] IS NOT NULL
ORDER BY event, action
