-- For how long something was open in the sessions that began in the range: between its actions open and close, or the session's end. Filtered by product.
SELECT event AS "Event", sum(sessions)::bigint AS "Sessions", sum(opened)::bigint AS "Opened",
       sum(seconds)::float8 AS "Time open"
FROM reporting.time_open WHERE {days} AND {of_product}
GROUP BY 1 ORDER BY 4 DESC, 1
