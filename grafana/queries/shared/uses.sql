-- How often what is chosen was used. A use is counted once, when it ends; exact, sampled or not.
SELECT coalesce(sum(count), 0)::bigint AS "Uses"
FROM {used} WHERE {selected} AND {ended}
