-- The same, by signal: docs/losses.md says what to do about each reason. sdk: in the application; subscriber: at a backend.
SELECT signal AS "Signal", reason AS "Reason", sum(count)::bigint AS "Lost", max(day) AS "Last day"
FROM reporting.losses WHERE {days}
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
