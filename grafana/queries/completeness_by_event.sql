-- Per event: what the SDKs counted (sent), and what is stored. Over everything that is kept, whatever the range and the filters. No "Sent": it came from senders without the SDK, which keep no tally.
SELECT event AS "Event", nullif(emitted, 0) AS "Sent", stored AS "Stored", ratio AS "Completeness"
FROM reporting.completeness
ORDER BY ratio, event
