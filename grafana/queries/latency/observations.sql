-- How many observations these percentiles are of: uses with a duration that were not only counted.
SELECT coalesce(sum(observations), 0)::bigint AS "Observations" FROM {durations} WHERE {selected}
