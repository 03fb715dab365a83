-- Distinct hashed values per day (UTC), counted once the day has settled, so that nothing that is sent
-- later shows in it; NULL where a salt was lost within the day, and small numbers are for the operator
-- alone
SELECT start AS day, attribute, CASE WHEN groups >= {fewest} OR {operator} THEN groups END AS groups
FROM footfall.groups_counts WHERE span = 'day' AND scope = 'all'
