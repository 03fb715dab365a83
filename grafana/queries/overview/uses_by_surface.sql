-- Where the product is used. Exact counts, without beginnings.
SELECT $__timeGroupAlias(at, ${bucket}), surface AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {is_use}
GROUP BY 1, 2 ORDER BY 1, 2
