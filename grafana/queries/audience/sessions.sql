-- Sessions that began in the days of the range (UTC), of how long they took on average up to their last sign of life.
SELECT coalesce(sum(sessions), 0)::bigint AS "Sessions",
       coalesce(sum(seconds) / nullif(sum(sessions), 0), 0)::float8 AS "Average length"
FROM reporting.sessions WHERE {days} AND {of_service}
