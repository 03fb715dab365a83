-- How many distinct guilds, organisations, ... were active, per day? Hashes; nobody can be named.
SELECT day, attribute, groups AS active
FROM reporting.active_groups
WHERE day >= (%(since)s AT TIME ZONE 'UTC')::date AND day < %(until)s AT TIME ZONE 'UTC'
ORDER BY day, attribute
