-- Counts by day: a month is a thirtieth as many rows to add up as its hours are (ADR 34).

CREATE TABLE footfall.feature_counts_days (
    day    date NOT NULL,
    dim_id integer NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (day, dim_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE footfall.feature_counts_days IS
    'What the hours of feature_counts come to, per day (UTC), as of the last look at the day';

CREATE TABLE footfall.feature_counts_stale (day date PRIMARY KEY);
COMMENT ON TABLE footfall.feature_counts_stale IS
    'Days (UTC) that are to be added up, beside those of commits that are not followed yet: read by the hour';
INSERT INTO footfall.feature_counts_stale
SELECT generate_series(date_trunc('day', min(hour) AT TIME ZONE 'UTC'), max(hour) AT TIME ZONE 'UTC', interval '1 day')
FROM footfall.feature_counts;
