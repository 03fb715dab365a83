-- The average of what owners said of prompts, 1 to 5 stars, per UTC day and source. A gap: no day of a prompt had five ratings. Not filtered.
SELECT {day}, source AS metric, sum(average * ratings) / sum(ratings) AS value
FROM reporting.ratings WHERE {days} AND ratings IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
