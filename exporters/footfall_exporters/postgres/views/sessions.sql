-- Sessions by the day (UTC) on which they began. Daily active: opened, did one other thing, and was heard
-- of 30 seconds later or more; an installation counts once a day
SELECT day, nullif(service, '') AS service, sum(sessions)::bigint AS sessions,
       sum(ended)::bigint AS ended, sum(installations)::bigint AS installations,
       sum(daily_active)::bigint AS daily_active, sum(seconds)::float8 AS seconds
FROM (
    TABLE footfall.session_days UNION ALL TABLE footfall.sessions_gone
) AS every GROUP BY day, service
