-- For how long something was open in sessions (between an event's actions open and close, or the session's
-- end), by the day (UTC) on which the sessions began; what is open twice counts once
SELECT day, event, sum(sessions)::bigint AS sessions, sum(opened)::bigint AS opened,
       sum(seconds)::float8 AS seconds
FROM (
    SELECT (s.opened_at AT TIME ZONE 'UTC')::date AS day, t.event, count(*) AS sessions,
           sum(t.opened) AS opened, sum(t.seconds) AS seconds
    FROM footfall.session_times t JOIN footfall.sessions s USING (session) GROUP BY 1, 2
    UNION ALL SELECT day, event, sessions, opened, seconds FROM footfall.session_times_gone
) AS every GROUP BY day, event
