-- How uses ended that did not end well: error, timeout or denied. Exact counts.
SELECT {time}, status AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {failed}
GROUP BY 1, 2 ORDER BY 1, 2
