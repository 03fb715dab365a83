-- Housekeeping's own records, and the rollups that outlive observations (docs/housekeeping.md).

CREATE TABLE footfall.housekeeping (
    task         text PRIMARY KEY,
    every        interval NOT NULL,
    last_run     timestamptz NOT NULL,
    last_success timestamptz,
    duration_ms  bigint NOT NULL,
    next_run     timestamptz NOT NULL,
    outcome      text NOT NULL
);
COMMENT ON TABLE footfall.housekeeping IS
    'The last run of each task, whichever collector did it; the times are the database''s';

-- Buckets as of an exponential histogram of OpenTelemetry with scale 4: bucket b holds durations above
-- 2^((b-1)/16) and up to 2^(b/16) ms; bucket -1 holds 0 ms.
CREATE FUNCTION footfall.latency_bucket(ms integer) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN ms > 0 THEN ceil(16 * ln(ms::float8) / ln(2::float8) - 1e-9)::smallint ELSE -1::smallint END
$$;
CREATE FUNCTION footfall.latency_of(bucket smallint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN bucket > 0 THEN power(2, bucket / 16.0::float8) * 2 / (1 + power(2, 1 / 16.0::float8))
                ELSE bucket + 1 END
$$;
COMMENT ON FUNCTION footfall.latency_of IS
    'The duration that stands for a bucket: at most 2.2 % from any duration in it';

CREATE TABLE footfall.latency_hourly (
    hour    timestamptz NOT NULL,
    dim_id  integer NOT NULL,
    buckets smallint[] NOT NULL,
    counts  bigint[] NOT NULL,
    PRIMARY KEY (hour, dim_id)
);
COMMENT ON TABLE footfall.latency_hourly IS
    'Observations with a duration per hour (UTC), dimension and bucket of it (latency_bucket)';

CREATE TABLE footfall.groups_daily (
    day       date NOT NULL,
    attribute text NOT NULL,
    kind      text NOT NULL,
    groups    bigint,
    PRIMARY KEY (day, attribute)
);
COMMENT ON TABLE footfall.groups_daily IS
    'Distinct hashed values per day (UTC) and attribute; NULL where they cannot be known any more';
COMMENT ON COLUMN footfall.groups_daily.kind IS 'Of the salt: daily, weekly, monthly or static';

CREATE TABLE footfall.rolled_up (
    rollup  text NOT NULL,
    start   timestamptz NOT NULL,
    counted numeric NOT NULL,
    PRIMARY KEY (rollup, start)
);
COMMENT ON TABLE footfall.rolled_up IS
    'Which hours and days are rolled up, and how many occurrences they had then: when that has changed, something came late';

CREATE TABLE footfall.dropped_days (
    day        date PRIMARY KEY,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE footfall.dropped_days IS
    'Days (UTC) whose observations have been dropped: the reports read the rollups of these';
