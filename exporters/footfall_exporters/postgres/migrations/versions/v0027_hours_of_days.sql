-- A day's counts by the hour, in one number that sum() adds: a month by the hour, or by the days of a time zone, is
-- read from a day's rows instead of from 24 times as many (ADR 43).

-- Twenty decimal digits for each hour: more than fit into a bigint, to which counts are summed.
CREATE FUNCTION footfall.in_hour(hour timestamptz, count bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN count * ('1e' || (20 * extract(hour FROM hour AT TIME ZONE 'UTC'))::text)::numeric;
COMMENT ON FUNCTION footfall.in_hour IS 'So many in an hour (UTC), as the hours of its day';

-- On the wire a numeric has digits of base 10,000, of which an hour is five, the last hour first. One more before them
-- and zeros behind, which are left out there, have each stand in its place.
CREATE FUNCTION reporting.hours_of(day date, hours numeric) RETURNS TABLE (hour timestamptz, count bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT * FROM (
        SELECT (day + n * interval '1 hour') AT TIME ZONE 'UTC' AS hour,
               ((((get_byte(d, at)::bigint * 256 + get_byte(d, at + 1)) * 10000
                   + get_byte(d, at + 2) * 256 + get_byte(d, at + 3)) * 10000
                   + get_byte(d, at + 4) * 256 + get_byte(d, at + 5)) * 10000
                   + get_byte(d, at + 6) * 256 + get_byte(d, at + 7)) * 10000
                   + get_byte(d, at + 8) * 256 + get_byte(d, at + 9) AS count
        FROM (SELECT numeric_send(hours + '1e480'::numeric) || decode(repeat('00', 240), 'hex') AS d OFFSET 0) AS sent,
             (SELECT n, 10 + 10 * (23 - n) AS at FROM generate_series(0, 23) AS n OFFSET 0) AS places
    ) AS every WHERE count > 0
$$;
COMMENT ON FUNCTION reporting.hours_of IS
    'The hours (UTC) of a day with their counts, of usage_by_day.hours or a sum of these: those in which there were any';

CREATE FUNCTION reporting.count_before(hours numeric, hour integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN mod(mod(hours, ('1e' || (20 * hour)::text)::numeric), 99999999999999999999)::bigint;
COMMENT ON FUNCTION reporting.count_before IS
    'How many of a day''s hours are before one of them, 0 to 24: as with casting out nines, 10^20 is 1 there';

ALTER TABLE footfall.feature_counts_days ADD COLUMN hours numeric NOT NULL DEFAULT 0;
COMMENT ON COLUMN footfall.feature_counts_days.hours IS 'The same by the hour: twenty decimal digits each (in_hour)';
INSERT INTO footfall.feature_counts_stale SELECT DISTINCT day FROM footfall.feature_counts_days ON CONFLICT DO NOTHING;
