-- Which kinds of failures each version has. Exact counts.
SELECT coalesce(service, '(none)') AS "Service", coalesce(service_version, '(none)') AS "Version",
       error_type AS "Error type", sum(count)::bigint AS "Failures"
FROM {used} WHERE {selected} AND {failed}
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
