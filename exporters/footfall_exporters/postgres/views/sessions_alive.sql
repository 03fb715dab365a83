-- Sessions that go on now: they began, and neither ended nor were silent for too long
SELECT service, count(*) AS sessions, count(DISTINCT coalesce(installation, session)) AS users
FROM footfall.sessions, footfall.session_state
WHERE opened AND ended_at IS NULL AND last_seen + silence > clock_timestamp() GROUP BY service
