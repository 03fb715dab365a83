-- What came of each feature lately, and whether that is more or less than before (docs/reporting.md, "features").

CREATE TABLE footfall.inventory (
    event       text PRIMARY KEY,
    last_day    date NOT NULL,
    days        integer NOT NULL,
    uses        bigint NOT NULL,
    uses_before bigint NOT NULL,
    low         double precision,
    high        double precision,
    ends        bigint NOT NULL,
    failures    bigint NOT NULL,
    first_used  timestamptz,
    last_used   timestamptz,
    p95_ms      double precision,
    trend       text NOT NULL
);
COMMENT ON TABLE footfall.inventory IS
    'Of each event that a catalog declares or declared what came of it in the last days that are over; made anew by housekeeping';
COMMENT ON COLUMN footfall.inventory.low IS 'The lower end of the 95 % interval of its rate by that of the days before';
COMMENT ON COLUMN footfall.inventory.trend IS 'new, growing, steady, fading, or too few to tell';
