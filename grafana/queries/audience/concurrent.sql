-- The most sessions that were open at once, in each hour of the last 8 days. Of the store: not filtered.
SELECT hour AS "time", 'sessions' AS metric, most AS value
FROM reporting.concurrent WHERE {hours} ORDER BY 1
