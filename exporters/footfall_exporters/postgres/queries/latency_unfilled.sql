-- Has every day filled from its observations that are there; which days these are.
INSERT INTO footfall.latency_unfilled
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
EXCEPT SELECT day FROM footfall.dropped_days
ON CONFLICT DO NOTHING RETURNING day
