-- What subscribers read, and where each of them is (docs/design.md, "Subscribers").

ALTER TABLE footfall.commits
    ADD COLUMN first_time   timestamptz,
    ADD COLUMN last_time    timestamptz,
    ADD COLUMN count_hours  bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN count_dims   integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN count_values bigint[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN footfall.commits.first_time IS 'The earliest of its observations; NULL when it has none';
COMMENT ON COLUMN footfall.commits.last_time IS 'The latest of its observations';
COMMENT ON COLUMN footfall.commits.count_hours IS
    'Of each increment beyond its observations the hour, in seconds since the Unix epoch; dimension and number beside it';

CREATE INDEX feature_events_batch ON footfall.feature_events USING brin (batch_id) WITH (autosummarize = on);
COMMENT ON INDEX footfall.feature_events_batch IS 'How a subscriber finds the rows of a commit; as good as free to write';

CREATE TABLE footfall.subscribers (
    name       text PRIMARY KEY,
    position   bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE footfall.subscribers IS
    'How far each subscriber has come: the position of the last commit that its backend has taken';

CREATE TABLE footfall.parked (
    name      text NOT NULL,
    position  bigint NOT NULL,
    batch_id  bigint NOT NULL,
    part      integer NOT NULL,
    events    integer NOT NULL,
    reason    text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, position, batch_id, part)
);
COMMENT ON TABLE footfall.parked IS
    'What a subscriber''s backend refused for good: which part of which batch, and why; never what was in it';
