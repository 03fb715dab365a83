-- How many groups used how many features, by day: never which group (ADR 41).

CREATE TABLE footfall.groups_depth (
    scope     text NOT NULL,
    start     date NOT NULL,
    attribute text NOT NULL,
    product   text NOT NULL DEFAULT '',
    features  integer NOT NULL,
    groups    bigint,
    reason    text,
    PRIMARY KEY (scope, start, attribute, product, features)
);
COMMENT ON TABLE footfall.groups_depth IS
    'How many distinct hashed values used how many features on a day (UTC); counted once, with the groups of that day';
COMMENT ON COLUMN footfall.groups_depth.scope IS 'Whose features: all, or those of one product';
COMMENT ON COLUMN footfall.groups_depth.start IS 'The day';
COMMENT ON COLUMN footfall.groups_depth.features IS 'How many different features each of them used; 0 where that cannot be known';
COMMENT ON COLUMN footfall.groups_depth.groups IS 'How many used so many; NULL where that cannot be known';
COMMENT ON COLUMN footfall.groups_depth.reason IS
    'Why it cannot: salt_lost, hash_changed or dropped; or sampled: they used so many at least';
-- Days that are counted, and whose observations are there still, have this counted in the background.
UPDATE footfall.housekeeping SET next_run = coalesce(last_run, next_run) WHERE task = 'groups';
