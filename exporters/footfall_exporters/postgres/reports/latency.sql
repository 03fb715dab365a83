-- How long does it take? Percentiles over stored observations with a duration.
SELECT surface, feature, event, count(*) AS observations,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms))::integer AS p50_ms,
       round(percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms))::integer AS p95_ms,
       round(percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms))::integer AS p99_ms
FROM reporting.events
WHERE created_at >= %(since)s AND created_at < %(until)s AND duration_ms IS NOT NULL
GROUP BY surface, feature, event
ORDER BY p95_ms DESC, surface, feature, event
