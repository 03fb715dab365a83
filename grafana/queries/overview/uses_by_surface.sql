-- Where the product is used. Exact counts of uses that ended.
SELECT $__timeGroupAlias(at, ${bucket}), surface AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {ended}
GROUP BY 1, 2 ORDER BY 1, 2
