-- How many observations these percentiles are of: uses with a duration that were not only counted.
SELECT coalesce({observations}, 0) AS "Observations"
FROM (SELECT sum(histogram) AS histogram FROM {durations} WHERE {selected}) AS summed
