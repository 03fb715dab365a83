-- How often what is chosen was used. Beginnings (invoke, start) do not count. Exact, sampled or not.
SELECT coalesce(sum(count), 0)::bigint AS "Uses"
FROM {used} WHERE {selected} AND {is_use}
