-- Streams of counters and spans by a keyed hash (ADR 4, ADR 11).

-- Logged, unlike the salts: without it every counter would be a new one, and be counted again.
CREATE TABLE footfall.secrets (
    name    text PRIMARY KEY,
    secret  bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE footfall.secrets ALTER COLUMN secret SET STATISTICS 0;
COMMENT ON TABLE footfall.secrets IS
    'Random keys of this database, under which identities of senders are hashed; never rotated';
INSERT INTO footfall.secrets (name, secret)
VALUES ('identities', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The states so far were named otherwise. What began before may have been counted under its former name.
CREATE TABLE footfall.counter_epoch (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    since_us bigint NOT NULL
);
COMMENT ON TABLE footfall.counter_epoch IS
    'Since when (microseconds of Unix time) this database knows all of its counters';
INSERT INTO footfall.counter_epoch (since_us)
SELECT CASE WHEN EXISTS (SELECT FROM footfall.counter_series)
            THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint ELSE 0 END;
TRUNCATE footfall.counter_series;
ALTER TABLE footfall.counter_series
    ADD COLUMN start_us bigint NOT NULL DEFAULT 0,
    ADD COLUMN time_us  bigint NOT NULL DEFAULT 0,
    ADD COLUMN since_us bigint,
    ADD COLUMN beside   bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN shared   boolean NOT NULL DEFAULT false,
    ADD COLUMN first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ALTER COLUMN stream SET STATISTICS 0,
    ALTER COLUMN series SET STATISTICS 0,
    DROP CONSTRAINT counter_series_pkey,
    ADD PRIMARY KEY (stream, series, start_us);
COMMENT ON TABLE footfall.counter_series IS
    'How far each stream of a cumulative counter has been counted; what exceeds it is an increment';
COMMENT ON COLUMN footfall.counter_series.stream IS 'Keyed hash of a resource: one sender';
COMMENT ON COLUMN footfall.counter_series.series IS 'Keyed hash of that, scope, metric and every attribute';
COMMENT ON COLUMN footfall.counter_series.start_us IS
    'When the sender says that it began to count, in microseconds of Unix time: one run of it';
COMMENT ON COLUMN footfall.counter_series.since_us IS
    'Its start, where that was known from its first value on: since then its sender counts by itself';
COMMENT ON COLUMN footfall.counter_series.beside IS
    'Where other writers of the stream stand, or where it stood before it fell (counters.py)';

ALTER TABLE footfall.ingest_batches ADD COLUMN repeats integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN footfall.ingest_batches.repeats IS 'How often an equal request came after it';

CREATE TABLE footfall.span_ledger (
    span uuid PRIMARY KEY
);
ALTER TABLE footfall.span_ledger ALTER COLUMN span SET STATISTICS 0;
COMMENT ON TABLE footfall.span_ledger IS
    'Spans that are stored, where spans are told apart one by one: the day since 1970 (2 bytes), then a keyed hash'
    ' of trace id and span id; kept as long as the ledger';
