-- How long sessions took that have ended, of those that began in the range.
SELECT length AS "Length", sum(sessions)::bigint AS "Sessions", sum(seconds)::float8 AS "Together"
FROM reporting.session_lengths WHERE {days} AND {of_service}
GROUP BY 1 ORDER BY 1
