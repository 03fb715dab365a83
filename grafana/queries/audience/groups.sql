-- Distinct groups (guilds, organisations, …) per UTC day, counted from salted hashes. Counted once, six hours after the day's end. A gap: fewer than five, or the day's salt was lost, and a count would be wrong. Of the store, or of each product that is chosen.
SELECT {day}, concat_ws(' · ', product, attribute) AS metric, groups AS value
FROM reporting.groups
WHERE {days} AND period = 'day' AND {of_scope}
ORDER BY 1, 2
