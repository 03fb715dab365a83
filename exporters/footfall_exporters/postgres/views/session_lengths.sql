-- How long sessions took that have ended, by the day (UTC) on which they began: how many were of each
-- length, up to their last sign of life; of those whose single rows are kept (retention_days)
SELECT day, service,
       CASE WHEN seconds < 30 THEN '0:00:00 to 0:00:30' WHEN seconds < 60 THEN '0:00:30 to 0:01:00'
            WHEN seconds < 300 THEN '0:01:00 to 0:05:00' WHEN seconds < 900 THEN '0:05:00 to 0:15:00'
            WHEN seconds < 3600 THEN '0:15:00 to 1:00:00'
            WHEN seconds < 14400 THEN '1:00:00 to 4:00:00' ELSE '4:00:00 or more' END AS length,
       count(*) AS sessions, sum(seconds) AS seconds
FROM (
    SELECT (opened_at AT TIME ZONE 'UTC')::date AS day, nullif(service, '') AS service,
           extract(epoch FROM last_seen - opened_at)::float8 AS seconds
    FROM footfall.sessions WHERE opened AND ended_at IS NOT NULL
) AS ended GROUP BY 1, 2, 3
