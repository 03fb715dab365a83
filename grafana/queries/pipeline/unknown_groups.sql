-- Why numbers of groups are not there: few were fewer than five, and are for the operator alone; salt_period, salt_lost, hash_changed and dropped cannot be known.
SELECT reason AS "Reason", period AS "Period", count(*) AS "Numbers"
FROM reporting.groups WHERE {days} AND groups IS NULL AND {in_product}
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
