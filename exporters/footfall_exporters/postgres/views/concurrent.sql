-- The most sessions that were open at once, per hour (UTC) of the last 8 days
SELECT hour, max(alive)::bigint AS most FROM (
    SELECT date_trunc('hour', time, 'UTC') AS hour, time,
           sum(sum(change)) OVER (ORDER BY time) AS alive
    FROM (
        SELECT opened_at AS time, 1 AS change FROM footfall.sessions WHERE opened
        UNION ALL
        SELECT coalesce(ended_at, last_seen + silence), -1
        FROM footfall.sessions, footfall.session_state
        WHERE opened AND coalesce(ended_at, last_seen + silence) <= clock_timestamp()
        UNION ALL
        SELECT generate_series(date_trunc('hour', clock_timestamp(), 'UTC') - interval '8 days',
                               clock_timestamp(), interval '1 hour'), 0
    ) AS changes GROUP BY time
) AS steps
WHERE time >= date_trunc('hour', clock_timestamp(), 'UTC') - interval '8 days' GROUP BY hour
