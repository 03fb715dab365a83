-- Per event, in the days of the range: what the SDKs counted (sent), and what is stored of it. Surplus: by how much more is stored of senders than they counted, which the ratio of all may hide. Not tallied: stored, but from senders without the SDK, which say nothing of completeness. Filtered by product.
SELECT event AS "Event", sum(emitted)::bigint AS "Sent", sum(stored)::bigint AS "Stored",
       (sum(stored) / nullif(sum(emitted), 0))::float8 AS "Completeness", sum(surplus)::bigint AS "Surplus",
       sum(untallied)::bigint AS "Not tallied"
FROM reporting.completeness_by_day WHERE {days} AND {of_product}
GROUP BY event ORDER BY 4, event
