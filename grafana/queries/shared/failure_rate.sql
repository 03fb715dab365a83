-- Of what ended (success, failure), the share whose status was not ok: error, timeout or denied. "-": nothing ended.
SELECT (coalesce(sum(count) FILTER (WHERE {failed}), 0) / sum(count))::float8 AS "Failure rate"
FROM {used} WHERE {selected} AND {ended}
