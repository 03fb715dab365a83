-- Each version of each service in the range: from when until when it was seen (UTC days), what it carried, and of what ended (success, failure) what failed. Exact counts.
SELECT service AS "Service", version AS "Version", first AS "First seen", last AS "Last seen", uses AS "Uses",
       failed AS "Failed", (failed::numeric / nullif(ended, 0))::float8 AS "Failure rate"
FROM (
    SELECT coalesce(service, '(none)') AS service, coalesce(service_version, '(none)') AS version,
           min(day) AS first, max(day) AS last, coalesce(sum(count) FILTER (WHERE {is_use}), 0)::bigint AS uses,
           coalesce(sum(count) FILTER (WHERE {ended}), 0)::bigint AS ended,
           coalesce(sum(count) FILTER (WHERE {failed}), 0)::bigint AS failed
    FROM reporting.usage_by_day WHERE {days} AND {selected}
    GROUP BY 1, 2
) AS seen
ORDER BY last DESC, first DESC, service, version
