-- Which observations were stored by the commits after a position, in their order?
SELECT c.position, c.committed_at AS at, d.event, d.action, e.duration_ms,
       jsonb_strip_nulls(to_jsonb(d)) - ARRAY['id', 'fingerprint', 'event', 'surface', 'feature', 'action',
           'relayed_from', 'telemetry_distro', 'emitted_event', 'drop_reason'] AS said,
       d.surface, d.feature,
       coalesce((SELECT min(p.product) FROM footfall.catalog_events p WHERE p.event = d.event), '') AS product
FROM footfall.commits c CROSS JOIN LATERAL unnest(c.requests) AS r (id)
JOIN footfall.feature_events e ON e.batch_id = r.id AND e.time >= c.first_time AND e.time <= c.last_time
JOIN footfall.feature_dims d ON d.id = e.dim_id
WHERE c.position > %(position)s AND c.position <= %(until)s AND d.surface <> 'footfall'
ORDER BY c.position, e.batch_id, e.ordinal LIMIT %(most)s
