-- The store (docs/design.md, "The store"). The schemas footfall and reporting are made by migrate.py.

CREATE TABLE footfall.feature_dims (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint     uuid NOT NULL UNIQUE,
    event           text NOT NULL,
    surface         text NOT NULL,
    feature         text NOT NULL,
    action          text NOT NULL,
    status          text NOT NULL,
    error_type      text,
    service         text,
    service_version text,
    environment     text
);
COMMENT ON TABLE footfall.feature_dims IS
    'Each combination of low-cardinality fields once; the catalog''s enums are columns';
COMMENT ON COLUMN footfall.feature_dims.fingerprint IS
    'SHA-256, cut to 128 bits, of the fields that are not null: stays valid when columns are added';

CREATE TABLE footfall.feature_events (
    time        timestamptz NOT NULL,
    batch_id    bigint NOT NULL,
    ordinal     integer NOT NULL,
    dim_id      integer NOT NULL,
    quantity    integer NOT NULL DEFAULT 1,
    duration_ms integer,
    sample_rate real NOT NULL DEFAULT 1
) PARTITION BY RANGE (time);
CREATE INDEX feature_events_time ON footfall.feature_events USING brin (time);
COMMENT ON TABLE footfall.feature_events IS
    'One row per observation, a partition per UTC day; (batch_id, ordinal) is the event id';
COMMENT ON COLUMN footfall.feature_events.sample_rate IS
    'The share of observations that the sender kept; counts never use it';

CREATE TABLE footfall.feature_counts (
    hour   timestamptz NOT NULL,
    dim_id integer NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (hour, dim_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE footfall.feature_counts IS
    'Exact occurrences per hour (UTC) and dimension: stored observations plus counter increments';

CREATE SEQUENCE footfall.batch_ids INCREMENT BY 1024;
COMMENT ON SEQUENCE footfall.batch_ids IS
    'Each value n stands for the ids n to n + 1023, which one collector uses up';

CREATE TABLE footfall.ingest_batches (
    id          bigint PRIMARY KEY,
    digest      uuid NOT NULL UNIQUE,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    signal      text NOT NULL,
    accepted    integer NOT NULL,
    losses      jsonb NOT NULL
);
CREATE INDEX ingest_batches_received ON footfall.ingest_batches USING brin (received_at);
COMMENT ON TABLE footfall.ingest_batches IS
    'The ledger: one row per request makes storing it exactly-once; kept for 7 days';
COMMENT ON COLUMN footfall.ingest_batches.losses IS 'What of the request was not stored, by reason';

CREATE TABLE footfall.losses_daily (
    day    date NOT NULL,
    signal text NOT NULL,
    reason text NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (day, signal, reason)
);
COMMENT ON TABLE footfall.losses_daily IS 'Losses of ledger rows that have been deleted';

CREATE TABLE footfall.commit_clock (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint NOT NULL
);
INSERT INTO footfall.commit_clock (position) VALUES (0);
CREATE TABLE footfall.commits (
    position     bigint PRIMARY KEY,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    batch_ids    bigint[] NOT NULL
);
COMMENT ON TABLE footfall.commits IS
    'Gapless positions in commit order: assigned under the lock on commit_clock, as the last statement';

CREATE TABLE footfall.counter_series (
    stream     uuid NOT NULL,
    series     uuid NOT NULL,
    value      bigint NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, series)
) WITH (fillfactor = 70);
COMMENT ON TABLE footfall.counter_series IS
    'The highest value seen of each cumulative counter; what exceeds it is an increment';

-- Unlogged: neither the write-ahead log nor a base backup ever holds a salt.
CREATE UNLOGGED TABLE footfall.salts (
    kind   text NOT NULL,
    period integer NOT NULL,
    salt   bytea NOT NULL,
    PRIMARY KEY (kind, period)
);
CREATE TABLE footfall.salt_log (
    kind    text NOT NULL,
    period  integer NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE footfall.salt_log IS
    'When a salt was made, without it: a period with two has no valid distinct counts';

CREATE FUNCTION footfall.salt_period(kind text, day date) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
        WHEN 'daily' THEN day - date '1970-01-01'
        WHEN 'weekly' THEN (day - date '1969-12-29') / 7
        WHEN 'monthly' THEN (extract(year FROM day) * 12 + extract(month FROM day) - 1)::integer
        ELSE 0
    END
$$;
COMMENT ON FUNCTION footfall.salt_period IS 'The period of a salt that a day falls into, as numbered in salts';

CREATE TABLE footfall.catalog_columns (
    attribute   text PRIMARY KEY,
    table_name  text NOT NULL,
    column_name text NOT NULL,
    hash        text,
    description text NOT NULL
);
COMMENT ON TABLE footfall.catalog_columns IS 'Which column holds which attribute of the catalog';

DO $$
BEGIN
    CREATE ROLE footfall_reader NOLOGIN;
EXCEPTION
    WHEN duplicate_object THEN NULL;
    WHEN unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role footfall_reader was not created: the owner may not create roles';
END
$$;
