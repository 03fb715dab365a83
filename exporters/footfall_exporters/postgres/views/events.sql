-- One row per stored observation; created_at is cut, event_id is the row's alone. Compared with constants,
-- created_at and day_bucket read only the days that are asked for
SELECT left(encode(sha256({row_key} || int8send(e.batch_id) || int4send(e.ordinal)), 'hex'), 32)
           AS event_id,
       {created_at} AS created_at, {day} AS day_bucket,
       d.event || '.' || d.action AS event_name,
       d.surface, d.feature, d.action, d.status, e.duration_ms, d.error_type, e.sample_rate,
       e.quantity, d.event, d.service, d.service_version, d.environment{dims}{values}
FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id
WHERE d.surface <> 'footfall'
