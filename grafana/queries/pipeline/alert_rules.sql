-- The rules of alerts that are on, and how the last look at each went, which is every minute.
SELECT rule AS "Rule", looked_at AS "Looked at", took_ms AS "Took", outcome AS "Outcome", failing AS "Failing",
       overdue AS "Overdue"
FROM reporting.alert_rules ORDER BY failing OR overdue DESC, rule
