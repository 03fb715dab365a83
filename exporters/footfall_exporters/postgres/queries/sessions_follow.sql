-- What observations say of their sessions, merged into what is known: in whatever order they come, or twice.
WITH seen AS (
    SELECT e.{session} AS session, {installation} AS installation, d.service, d.event, d.action, e.time,
           d.event = ANY(%(events)s) AS own
    FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id
    WHERE e.batch_id = ANY(%(batches)s::bigint[]) AND e.time >= %(first)s AND e.time <= %(last)s
    AND e.{session} IS NOT NULL
), marked AS (
    INSERT INTO footfall.session_marks (session, time, event, change)
    SELECT session, time, event, CASE action WHEN 'open' THEN 1 ELSE -1 END
    FROM seen WHERE action IN ('open', 'close')
), merged AS (
    INSERT INTO footfall.sessions AS s
        (session, installation, service, opened_at, last_seen, ended_at, ended_by, opened, acted)
    SELECT session, max(installation::text)::uuid, max(service), min(time), max(time),
           max(time) FILTER (WHERE own AND action = 'end'),
           CASE WHEN bool_or(own AND action = 'end') THEN 'call' END,
           bool_or(own AND action = 'start'), bool_or(NOT own)
    FROM seen GROUP BY session ORDER BY session
    ON CONFLICT (session) DO UPDATE SET
        installation = coalesce(s.installation, excluded.installation),
        service = coalesce(s.service, excluded.service),
        opened_at = least(s.opened_at, excluded.opened_at),
        last_seen = greatest(s.last_seen, excluded.last_seen),
        opened = s.opened OR excluded.opened,
        acted = s.acted OR excluded.acted,
        ended_at = CASE WHEN 'call' IN (s.ended_by, excluded.ended_by)
                        THEN greatest(CASE s.ended_by WHEN 'call' THEN s.ended_at END, excluded.ended_at)
                        WHEN excluded.last_seen <= s.last_seen THEN s.ended_at END,
        ended_by = CASE WHEN 'call' IN (s.ended_by, excluded.ended_by) THEN 'call'
                        WHEN excluded.last_seen <= s.last_seen THEN s.ended_by END
    RETURNING 1
) SELECT count(*) FROM merged
