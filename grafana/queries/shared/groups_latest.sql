-- Distinct groups (guilds, organisations, …) of the latest day in the range that has been counted (UTC; six hours after its end), if there were five or more. Counted from salted hashes: nobody can be named. Of the store, or of each product that is chosen.
SELECT DISTINCT ON (coalesce(product, ''), attribute) concat_ws(' · ', product, attribute) AS metric, groups
FROM reporting.groups
WHERE {days} AND period = 'day' AND {of_scope}
ORDER BY coalesce(product, ''), attribute, day DESC
