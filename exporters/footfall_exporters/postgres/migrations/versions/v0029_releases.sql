-- The newest version of each service beside the one before, where that is much to compare (ADR 44).

CREATE TABLE footfall.releases (
    service               text NOT NULL,
    former                text NOT NULL,
    version               text NOT NULL,
    event                 text NOT NULL,
    ends_before           bigint NOT NULL,
    ends                  bigint NOT NULL,
    failed_before         double precision,
    failed                double precision,
    difference            double precision,
    low                   double precision,
    high                  double precision,
    verdict               text NOT NULL,
    p95_before_ms         integer,
    p95_ms                integer,
    uses_per_group_before double precision,
    uses_per_group        double precision,
    speed                 text,
    made_at               timestamptz NOT NULL,
    PRIMARY KEY (service, event)
);
COMMENT ON TABLE footfall.releases IS
    'What the report releases says of everything, where it has many rows; made anew by housekeeping';
COMMENT ON COLUMN footfall.releases.event IS 'An event, or (all)';
COMMENT ON COLUMN footfall.releases.made_at IS 'When it was asked';
