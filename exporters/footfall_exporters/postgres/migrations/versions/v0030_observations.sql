-- How many durations a histogram has: Postgres reckons it when it writes one, and not each time somebody asks.

ALTER TABLE footfall.latency_days
    ADD COLUMN observations bigint NOT NULL GENERATED ALWAYS AS (mod(histogram, 999999999999)::bigint) STORED;
COMMENT ON COLUMN footfall.latency_days.observations IS 'How many durations the histogram has (latency_number)';
ALTER TABLE footfall.latency_hours
    ADD COLUMN observations bigint NOT NULL GENERATED ALWAYS AS (mod(histogram, 999999999999)::bigint) STORED;
COMMENT ON COLUMN footfall.latency_hours.observations IS 'How many durations the histogram has (latency_number)';
