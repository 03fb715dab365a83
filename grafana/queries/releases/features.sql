-- Each feature of each version in the range: what was used, and of what ended (success, failure) what failed. Exact counts.
WITH per_version AS MATERIALIZED (
    SELECT feature, coalesce(service, '(none)') AS service, coalesce(service_version, '(none)') AS version,
           sum(count)::bigint AS uses, coalesce(sum(count) FILTER (WHERE {ended}), 0)::bigint AS ended,
           coalesce(sum(count) FILTER (WHERE {failed}), 0)::bigint AS failed
    FROM {used} WHERE {selected} AND {is_use}
    GROUP BY 1, 2, 3
)
SELECT feature AS "Feature", service AS "Service", version AS "Version", uses AS "Uses", failed AS "Failed",
       (failed::numeric / nullif(ended, 0))::float8 AS "Failure rate"
FROM per_version
ORDER BY feature, service, version
