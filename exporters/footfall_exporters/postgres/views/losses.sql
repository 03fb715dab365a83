-- What was not stored or not passed on, by reason and day (UTC). Signal sdk: dropped before sending; signal
-- subscriber: not taken by a backend; reasons refused_...: whole requests
WITH stale AS MATERIALIZED ({stale}), counted AS ({counted})
SELECT day, signal, reason, sum(count)::bigint AS count FROM (
    SELECT (b.received_at AT TIME ZONE 'UTC')::date AS day, b.signal, l.key AS reason,
           l.value::bigint AS count
    FROM footfall.ingest_batches b, jsonb_each_text(b.losses) l
    UNION ALL SELECT day, signal, reason, count FROM footfall.losses_daily
    UNION ALL
    SELECT c.day, 'sdk', d.drop_reason, c.count
    FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
    WHERE d.event = 'footfall.dropped' AND d.drop_reason IS NOT NULL
    UNION ALL
    SELECT day, signal, 'refused_' || reason, requests FROM footfall.refused_daily
    WHERE reason NOT IN ({come_again}, {by_store})
    UNION ALL
    SELECT (parked_at AT TIME ZONE 'UTC')::date, 'subscriber', reason, events FROM footfall.parked
) AS every GROUP BY day, signal, reason
