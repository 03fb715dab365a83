-- Percentiles over the stored observations that have a duration, failures included.
SELECT surface AS "Surface", feature AS "Feature", count(*) AS "Observations",
       percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS "p50",
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS "p95",
       percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms) AS "p99"
FROM reporting.events
WHERE $__timeFilter(created_at) AND {selected} AND duration_ms IS NOT NULL
GROUP BY surface, feature
ORDER BY "p95" DESC, surface, feature
