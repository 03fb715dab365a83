-- Durations that are rolled up as they come (ADR 34). A histogram is one numeric: bucket b of latency_bucket
-- has the twelve decimal digits from 10^(12(b+1)) on, so that sum() adds histograms, and minus takes them away.

CREATE FUNCTION footfall.latency_histogram(bucket smallint, number bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN number * ('1e' || (12 * (bucket + 1))::text)::numeric;
COMMENT ON FUNCTION footfall.latency_histogram IS 'So many durations in a bucket, as a histogram';

CREATE FUNCTION footfall.latency_number(histogram numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN mod(histogram, 999999999999)::bigint;
COMMENT ON FUNCTION footfall.latency_number IS
    'How many durations a histogram has: as with casting out nines, 10^12 is 1 there';

-- On the wire a numeric has digits of base 10,000, of which a slot is three: number of digits, weight of the first,
-- sign (0), scale (0), digits. Zeros at the end are left out; those before the first are read from sign and scale.
CREATE FUNCTION footfall.latency_quantiles(histogram numeric, shares numeric[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    sent   bytea := numeric_send(histogram) || '\x00000000'::bytea;
    digits integer := get_byte(sent, 0) * 256 + get_byte(sent, 1);
    weight integer := get_byte(sent, 2) * 256 + get_byte(sent, 3);
    total  bigint := mod(histogram, 999999999999);
    ranks  bigint[] := ARRAY(SELECT ceil(share * total) FROM unnest(shares) WITH ORDINALITY AS s (share, at) ORDER BY at);
    number integer := cardinality(shares);
    found  double precision[] := array_fill(NULL::double precision, ARRAY[number]);
    wanted integer := 1;
    seen   bigint := 0;
    at     integer;
BEGIN
    IF digits = 0 OR number = 0 THEN
        RETURN found;
    END IF;
    FOR slot IN (weight - digits + 1) / 3 .. weight / 3 LOOP
        at := 8 + 2 * (weight - 3 * slot - 2);
        seen := seen + (get_byte(sent, at) * 256 + get_byte(sent, at + 1)) * 100000000::bigint
            + (get_byte(sent, at + 2) * 256 + get_byte(sent, at + 3)) * 10000
            + get_byte(sent, at + 4) * 256 + get_byte(sent, at + 5);
        WHILE seen >= ranks[wanted] LOOP
            found[wanted] := CASE WHEN slot < 2 THEN slot
                ELSE power(2, (slot - 1) / 16.0::float8) * 2 / (1 + power(2, 1 / 16.0::float8)) END;
            wanted := wanted + 1;
        END LOOP;
        EXIT WHEN wanted > number;
    END LOOP;
    RETURN found;
END
$$;
COMMENT ON FUNCTION footfall.latency_quantiles IS
    'The durations (ms) of a histogram at ascending shares of it, by nearest rank: at most 2.2 % off';

CREATE TABLE footfall.latency_hours (
    hour      timestamptz NOT NULL,
    dim_id    integer NOT NULL,
    histogram numeric NOT NULL,
    PRIMARY KEY (hour, dim_id)
);
COMMENT ON TABLE footfall.latency_hours IS
    'Durations of observations per hour (UTC) and dimension (latency_histogram)';

CREATE TABLE footfall.latency_days (
    day       date NOT NULL,
    dim_id    integer NOT NULL,
    histogram numeric NOT NULL,
    PRIMARY KEY (day, dim_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE footfall.latency_days IS 'The same per day (UTC) and dimension';

CREATE TABLE footfall.latency_percentiles (
    day          date NOT NULL,
    surface      text NOT NULL,
    feature      text NOT NULL,
    event        text NOT NULL,
    action       text NOT NULL,
    observations bigint NOT NULL,
    p50_ms       double precision,
    p95_ms       double precision,
    p99_ms       double precision,
    PRIMARY KEY (day, surface, feature, event, action)
) WITH (fillfactor = 70);
COMMENT ON TABLE footfall.latency_percentiles IS
    'What latency_days come to, as reporting.latency shows it: decoded once, not by whoever asks';

CREATE TABLE footfall.latency_state (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint NOT NULL
);
COMMENT ON TABLE footfall.latency_state IS
    'Up to which commit durations are rolled up; whoever changes rollups of durations locks it';
INSERT INTO footfall.latency_state (position) SELECT position FROM footfall.commit_clock;

CREATE TABLE footfall.latency_unfilled (day date PRIMARY KEY);
COMMENT ON TABLE footfall.latency_unfilled IS
    'Days (UTC) of which nothing is rolled up yet: read from their observations or, dropped, from latency_hourly';
INSERT INTO footfall.latency_unfilled
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
UNION SELECT day FROM footfall.dropped_days;

DELETE FROM footfall.rolled_up WHERE rollup = 'latency';
COMMENT ON TABLE footfall.latency_hourly IS
    'Durations of days that an earlier Footfall has dropped, until they are in latency_hours';
COMMENT ON TABLE footfall.rolled_up IS
    'Which days have their groups counted, and how many occurrences they had then';
COMMENT ON TABLE footfall.dropped_days IS
    'Days (UTC) whose observations have been dropped: what is stored for one later is rolled up when it is dropped';
