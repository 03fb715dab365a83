-- What the promises need (ADR 21, ADR 22): keyed digests, locks that ask for rights, new salts, settled counts of groups.

-- Locked, never filled (locks.py).
CREATE TABLE footfall.lock_turn ();
CREATE TABLE footfall.lock_house ();
COMMENT ON TABLE footfall.lock_turn IS 'Locked by whoever stores a group now';
COMMENT ON TABLE footfall.lock_house IS 'Locked by whoever keeps house';

-- A Footfall of before would take no such lock, and enter digests without a key: it cannot store any more.
ALTER TABLE footfall.commits RENAME COLUMN batch_ids TO requests;

INSERT INTO footfall.secrets (name, secret)
SELECT name, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
FROM unnest(ARRAY['requests', 'rows']) AS n (name);
COMMENT ON TABLE footfall.secrets IS
    'Random keys of this database, never rotated: identities names streams and spans, requests the requests in the'
    ' ledger, rows the rows of reporting.events';

-- A digest becomes HMAC-SHA256 of what it was: so is that of a request that is sent again (digests.py).
-- The table is written anew, so that no page holds one of before.
ALTER TABLE footfall.ingest_batches ADD COLUMN sent_as uuid;
COMMENT ON COLUMN footfall.ingest_batches.digest IS 'HMAC-SHA256 under the key `requests`, cut to 128 bits';
COMMENT ON COLUMN footfall.ingest_batches.sent_as IS
    'What subscribers were sent it under before digests had a key; gone a week after that';
DO $$
DECLARE
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
    secret bytea := (SELECT s.secret FROM footfall.secrets s WHERE name = 'requests');
BEGIN
    FOR i IN 0..length(secret) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(secret, i));
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(secret, i));
    END LOOP;
    EXECUTE format(
        'ALTER TABLE footfall.ingest_batches ALTER COLUMN sent_as TYPE uuid USING %s, ALTER COLUMN digest TYPE uuid'
        ' USING encode(substr(sha256(%L::bytea || sha256(%L::bytea || uuid_send(digest))), 1, 16), ''hex'')::uuid',
        CASE WHEN EXISTS (SELECT FROM footfall.subscribers) THEN 'digest' ELSE 'NULL' END, outer_pad, inner_pad
    );
END
$$;

-- Distinct groups are counted once, when a day has settled. What is counted stays void where it was.
UPDATE footfall.groups_daily g SET groups = NULL
WHERE (SELECT count(*) FROM footfall.salt_log l
       WHERE l.kind = g.kind AND l.period = footfall.salt_period(g.kind, g.day)) > 1;
COMMENT ON TABLE footfall.groups_daily IS
    'Distinct hashed values per day (UTC) and attribute, once it has settled; NULL where a salt was lost within it';

-- Statistics of salts may have been logged and dumped: none of these goes on.
TRUNCATE footfall.salts;

-- Times are shown by expressions. What a day's bounds imply of them spares questions the other days (partitions.py).
DO $$
DECLARE
    part regclass;
    day  date;
BEGIN
    FOR part, day IN
        SELECT i.inhrelid, right(c.relname, 8)::date
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
    LOOP
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT shown CHECK ((time AT TIME ZONE ''UTC'')::date = %L'
            ' AND date_bin(''1 second'', time, ''epoch''::timestamptz) BETWEEN %L AND %L'
            ' AND date_bin(''1 minute'', time, ''epoch''::timestamptz) BETWEEN %L AND %L'
            ' AND date_bin(''1 hour'', time, ''epoch''::timestamptz) BETWEEN %L AND %L)',
            part, day, day || ' 00:00:00+00', day || ' 23:59:59+00', day || ' 00:00:00+00', day || ' 23:59:59+00',
            day || ' 00:00:00+00', day || ' 23:59:59+00');
    END LOOP;
END
$$;
