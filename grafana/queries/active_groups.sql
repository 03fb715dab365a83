-- Distinct groups (guilds, organisations, …) per UTC day, counted from salted hashes. Counted once, six hours after the day's end. A gap: fewer than five, or the day's salt was lost, and a count would be wrong. Not filtered by surface and feature.
SELECT day::timestamp AT TIME ZONE 'UTC' AS "time", attribute AS metric, groups AS value
FROM reporting.active_groups
WHERE {days}
ORDER BY 1, 2
