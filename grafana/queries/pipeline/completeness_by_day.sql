-- Stored ÷ counted by the SDKs, per UTC day. A use shortly before midnight may be in the tally of the next day: of a day with few uses, it may be off by these. Filtered by product.
SELECT {day}, 'completeness' AS metric, (sum(stored) / sum(emitted))::float8 AS value
FROM reporting.completeness_by_day WHERE {days} AND {of_product}
GROUP BY 1 HAVING sum(emitted) > 0 ORDER BY 1
