-- The share of uses that did not end well, of each feature: 0 where all did. Of few uses it means little.
SELECT $__timeGroupAlias(at, ${bucket}), surface || ' · ' || feature AS metric,
       (coalesce(sum(count) FILTER (WHERE status <> 'ok'), 0) / sum(count))::float8 AS value
FROM {series} WHERE {selected} AND {ended}
GROUP BY 1, 2 ORDER BY 1, 2
