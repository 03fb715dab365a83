-- The share of uses whose status was not ok: error, timeout or denied. "-": nothing was used.
SELECT (coalesce(sum(count) FILTER (WHERE status <> 'ok'), 0) / sum(count))::float8 AS "Failure rate"
FROM {used} WHERE {selected} AND {ended}
