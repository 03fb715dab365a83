-- How often the selected features were used. A use is counted once, when it ends; exact, sampled or not.
SELECT coalesce(sum(count), 0) AS "Uses"
FROM reporting.usage
WHERE {hours} AND {selected} AND {ended}
