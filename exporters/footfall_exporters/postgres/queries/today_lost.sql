-- What was not stored of the requests that came since a midnight (UTC)?
SELECT l.key AS reason, b.signal, sum(l.value::bigint)::bigint AS number
FROM footfall.ingest_batches b, jsonb_each_text(b.losses) l
WHERE b.received_at >= %(midnight)s
GROUP BY 1, 2
