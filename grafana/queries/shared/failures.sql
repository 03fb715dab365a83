-- How many uses ended (success, failure), and not well: their status was error, timeout or denied. Exact.
SELECT coalesce(sum(count), 0)::bigint AS "Failures"
FROM {used} WHERE {selected} AND {failed}
