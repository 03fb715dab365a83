-- What is forwarded: in which window of time a commit counted, and through whose hands something came.

ALTER TABLE footfall.commit_clock
    ADD COLUMN counted_from timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN counted_to   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN origin       uuid NOT NULL DEFAULT gen_random_uuid();
UPDATE footfall.commit_clock
SET counted_to = greatest(counted_to, (SELECT max(committed_at) FROM footfall.commits));
COMMENT ON COLUMN footfall.commit_clock.counted_to IS
    'Where the window of the last commit ends; it grows with the position, whatever the clock does';
COMMENT ON COLUMN footfall.commit_clock.origin IS
    'Random: what is passed on is marked with it, so that it is known again when it comes back';

ALTER TABLE footfall.commits
    ADD COLUMN counted_from timestamptz,
    ADD COLUMN counted_to   timestamptz;
COMMENT ON COLUMN footfall.commits.counted_from IS
    'Where the window of the commit before ends; NULL when it was committed by an older Footfall';

ALTER TABLE footfall.feature_dims
    ADD COLUMN relayed_from     text,
    ADD COLUMN telemetry_distro text;
COMMENT ON COLUMN footfall.feature_dims.relayed_from IS
    'The markers of the stores and gateways that it came through, the first one first; NULL from its sender';
COMMENT ON COLUMN footfall.feature_dims.telemetry_distro IS
    '`footfall` when its sender is Footfall''s SDK, which keeps a tally of its own; NULL for any other';
