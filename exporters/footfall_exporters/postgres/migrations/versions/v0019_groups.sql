-- Distinct groups by day, week and month: in all, and of each product, feature and event (ADR 35).

CREATE TABLE footfall.groups_counts (
    span      text NOT NULL,
    scope     text NOT NULL,
    start     date NOT NULL,
    attribute text NOT NULL,
    product   text NOT NULL DEFAULT '',
    feature   text NOT NULL DEFAULT '',
    event     text NOT NULL DEFAULT '',
    kind      text NOT NULL,
    groups    bigint,
    reason    text,
    PRIMARY KEY (span, scope, start, attribute, product, feature, event)
);
COMMENT ON TABLE footfall.groups_counts IS
    'Distinct hashed values of observations, per period (UTC), attribute, and what they used; counted once, when the period has settled';
COMMENT ON COLUMN footfall.groups_counts.span IS 'How long the period is: day, week or month';
COMMENT ON COLUMN footfall.groups_counts.scope IS 'What they used: all, or one product, feature or event';
COMMENT ON COLUMN footfall.groups_counts.start IS 'The first day of the period';
COMMENT ON COLUMN footfall.groups_counts.kind IS 'Of the salt: daily, weekly, monthly or static';
COMMENT ON COLUMN footfall.groups_counts.groups IS 'NULL where it cannot be known';
COMMENT ON COLUMN footfall.groups_counts.reason IS
    'Why it cannot: salt_period, salt_lost, hash_changed or dropped; or sampled: there were so many at least';
INSERT INTO footfall.groups_counts (span, scope, start, attribute, kind, groups, reason)
SELECT 'day', 'all', day, attribute, kind, groups, CASE WHEN groups IS NULL THEN 'salt_lost' END
FROM footfall.groups_daily;

CREATE TABLE footfall.groups_counted (
    span  text NOT NULL,
    start date NOT NULL,
    PRIMARY KEY (span, start)
);
COMMENT ON TABLE footfall.groups_counted IS 'Which periods have their groups counted';
-- Days whose observations are there are counted once more, by event; what they came to in all stays.
INSERT INTO footfall.groups_counted
SELECT 'day', (start AT TIME ZONE 'UTC')::date FROM footfall.rolled_up WHERE rollup = 'groups'
EXCEPT
SELECT 'day', to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending;
UPDATE footfall.housekeeping SET next_run = last_run WHERE task = 'groups';

DROP VIEW IF EXISTS reporting.active_groups; -- views are made anew afterwards
DROP TABLE footfall.groups_daily, footfall.rolled_up;

ALTER TABLE footfall.catalog_columns ADD COLUMN hash_changed_at timestamptz;
COMMENT ON COLUMN footfall.catalog_columns.hash_changed_at IS
    'When a catalog last had it hashed with another kind of salt: counts over that moment would count twice';
