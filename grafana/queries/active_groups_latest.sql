-- Distinct groups (guilds, organisations, …) of the latest day in the range that has been counted (UTC; six hours after its end), if there were five or more. Counted from salted hashes: nobody can be named. Not filtered by surface and feature.
SELECT DISTINCT ON (attribute) attribute, groups
FROM reporting.active_groups
WHERE {days}
ORDER BY attribute, day DESC
