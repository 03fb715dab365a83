-- Per event: what the SDKs counted (sent), and what is stored of it. Surplus: by how much more is stored of senders than they counted, which the ratio of all may hide. Not tallied: stored, but from senders without the SDK, which say nothing of completeness. Over everything that is kept, whatever the range and the filters.
SELECT event AS "Event", nullif(emitted, 0) AS "Sent", CASE WHEN emitted > 0 THEN stored END AS "Stored",
       ratio AS "Completeness", CASE WHEN emitted > 0 THEN surplus END AS "Surplus", untallied AS "Not tallied"
FROM reporting.completeness
ORDER BY ratio, event
