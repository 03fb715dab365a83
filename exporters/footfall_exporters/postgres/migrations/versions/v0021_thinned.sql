-- Observations that are kept for less than others, and what is kept for how long.

CREATE TABLE footfall.thinned (
    day    date NOT NULL,
    dim_id integer NOT NULL,
    PRIMARY KEY (day, dim_id)
);
COMMENT ON TABLE footfall.thinned IS
    'Days (UTC) and dimensions whose observations were deleted before their day: what they came to stays as it is';

CREATE TABLE footfall.latency_thinned (
    hour      timestamptz NOT NULL,
    dim_id    integer NOT NULL,
    histogram numeric NOT NULL,
    PRIMARY KEY (hour, dim_id)
);
COMMENT ON TABLE footfall.latency_thinned IS
    'What the durations of these observations came to (latency_histogram), until their day is dropped';

CREATE TABLE footfall.kept (
    what        text NOT NULL,
    product     text,
    environment text,
    kept        interval NOT NULL
);
COMMENT ON TABLE footfall.kept IS 'For how long the collector that last kept house keeps what';
