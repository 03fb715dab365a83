-- Sessions that go on now, and of how many installations they are.
SELECT coalesce(sum(sessions), 0)::bigint AS "Sessions now", coalesce(sum(users), 0)::bigint AS "Users now"
FROM reporting.sessions_alive WHERE {of_service}
