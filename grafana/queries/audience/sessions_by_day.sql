-- Sessions per UTC day on which they began; installations: of how many; daily active: of those that did more than begin, and were heard of 30 s later or more.
SELECT {day}, name AS metric, sum(number)::bigint AS value
FROM reporting.sessions,
     unnest(ARRAY['sessions', 'installations', 'daily active'], ARRAY[sessions, installations, daily_active]) AS one (name, number)
WHERE {days} AND {of_service}
GROUP BY 1, 2 ORDER BY 1, 2
