-- Where the product is used. Exact counts of uses that ended.
SELECT $__timeGroupAlias(hour, ${bucket}), surface AS metric, sum(count) AS value
FROM reporting.usage
WHERE {hours} AND {selected} AND {ended}
GROUP BY 1, 2
ORDER BY 1, 2
