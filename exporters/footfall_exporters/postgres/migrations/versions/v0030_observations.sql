-- How many durations a histogram has: Postgres reckons it when it writes one, and not each time somebody asks.

ALTER TABLE footfall.latency_days
    ADD COLUMN observations bigint NOT NULL GENERATED ALWAYS AS (mod(histogram, 999999999999)::bigint) STORED;
COMMENT ON COLUMN footfall.latency_days.observations IS 'How many durations the histogram has (latency_number)';
ALTER TABLE footfall.latency_hours
    ADD COLUMN observations bigint NOT NULL GENERATED ALWAYS AS (mod(histogram, 999999999999)::bigint) STORED;
COMMENT ON COLUMN footfall.latency_hours.observations IS 'How many durations the histogram has (latency_number)';

-- As before, but from the slowest slot on: of what is asked for, the 95th percentile is near to it.
CREATE OR REPLACE FUNCTION footfall.latency_quantiles(histogram numeric, shares numeric[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    sent   bytea := numeric_send(histogram) || '\x00000000'::bytea;
    digits integer := get_byte(sent, 0) * 256 + get_byte(sent, 1);
    weight integer := get_byte(sent, 2) * 256 + get_byte(sent, 3);
    total  bigint := mod(histogram, 999999999999);
    ranks  bigint[] := ARRAY(SELECT ceil(share * total) FROM unnest(shares) WITH ORDINALITY AS s (share, at) ORDER BY at);
    wanted integer := cardinality(shares);
    found  double precision[] := array_fill(NULL::double precision, ARRAY[wanted]);
    seen   bigint := total;
    lowest integer := (weight - digits + 1) / 3;
    at     integer;
BEGIN
    IF digits = 0 OR wanted = 0 THEN
        RETURN found;
    END IF;
    FOR slot IN REVERSE weight / 3 .. lowest LOOP
        at := 8 + 2 * (weight - 3 * slot - 2);
        seen := seen - (get_byte(sent, at) * 256 + get_byte(sent, at + 1)) * 100000000::bigint
            - (get_byte(sent, at + 2) * 256 + get_byte(sent, at + 3)) * 10000
            - get_byte(sent, at + 4) * 256 - get_byte(sent, at + 5);
        WHILE seen < ranks[wanted] OR slot = lowest AND wanted > 0 LOOP
            found[wanted] := CASE WHEN slot < 2 THEN slot
                ELSE power(2, (slot - 1) / 16.0::float8) * 2 / (1 + power(2, 1 / 16.0::float8)) END;
            wanted := wanted - 1;
        END LOOP;
        EXIT WHEN wanted = 0;
    END LOOP;
    RETURN found;
END
$$;
