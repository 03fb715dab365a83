-- What the rules of alerts found at the last look: one row for each product, event, task, subscriber, reason
-- or listener of which something is so; firing once it was so in several looks in a row
SELECT rule, nullif(product, '') AS product, nullif(subject, '') AS subject, firing, since, fired_at,
       CASE WHEN silenced_until > clock_timestamp() THEN silenced_until END AS silenced_until, what, sure
FROM footfall.alerts
