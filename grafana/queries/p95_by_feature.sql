-- 95 of 100 uses took at most this long. From the observations that are stored (sampled-out ones are not).
SELECT $__timeGroupAlias(created_at, ${bucket}), surface || ' · ' || feature AS metric,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS value
FROM reporting.events
WHERE $__timeFilter(created_at) AND {selected} AND duration_ms IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
