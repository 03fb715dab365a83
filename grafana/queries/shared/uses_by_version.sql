-- Which versions of which services carry the use. Exact counts of uses that ended.
SELECT $__timeGroupAlias(at, ${bucket}), {version} AS metric, sum(count)::bigint AS value
FROM {series} WHERE {selected} AND {ended}
GROUP BY 1, 2 ORDER BY 1, 2
