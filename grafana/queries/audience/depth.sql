-- How many different features each active group used on a UTC day: on average, half of them at most (median), and nine of ten at most (p90), counted from salted hashes six hours after the day's end. A gap: fewer than five groups, or it cannot be known. Filtered by product.
SELECT {day}, concat_ws(' · ', product, attribute, figure) AS metric, value
FROM reporting.depth CROSS JOIN LATERAL (VALUES ('mean', mean), ('median', median), ('p90', p90)) AS each (figure, value)
WHERE {days} AND {of_scope}
ORDER BY 1, 2
