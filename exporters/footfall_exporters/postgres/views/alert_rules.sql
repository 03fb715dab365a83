-- The rules of alerts that are on: when each was last looked at, which is every minute, and how that went
SELECT rule, looked_at, took_ms, outcome, outcome <> 'looked' AS failing,
       looked_at < clock_timestamp() - interval '5 minutes' AS overdue
FROM footfall.alert_rules
