-- What was received and not stored, in the days of the range (UTC). undeclared_event and undeclared_attribute are the allowlist at work. Not filtered by surface and feature.
SELECT coalesce(sum(count), 0) AS "Losses"
FROM reporting.losses
WHERE {days}
