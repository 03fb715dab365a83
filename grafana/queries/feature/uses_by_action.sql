-- What was done, beginnings included. Exact counts.
SELECT {time}, action AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected}
GROUP BY 1, 2 ORDER BY 1, 2
