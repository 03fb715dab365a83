-- How many uses did not end well: their status was error, timeout or denied. Exact.
SELECT coalesce(sum(count), 0)::bigint AS "Failures"
FROM {used} WHERE {selected} AND {ended} AND status <> 'ok'
