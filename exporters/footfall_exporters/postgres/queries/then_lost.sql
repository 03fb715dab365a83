-- What was not stored of the requests that were committed after a position?
SELECT l.key AS reason, b.signal, sum(l.value::bigint)::bigint AS number
FROM footfall.commits c, unnest(c.requests) AS r (id)
JOIN footfall.ingest_batches b ON b.id = r.id, jsonb_each_text(b.losses) l
WHERE c.position > %(position)s AND c.position <= %(until)s
GROUP BY 1, 2
