-- Sessions: when each began, when it was last heard of, how it ended (ADR 31). What the days come to stays
-- when their rows are gone.

CREATE TABLE footfall.sessions (
    session      uuid PRIMARY KEY,
    installation uuid,
    service      text,
    opened_at    timestamptz NOT NULL,
    last_seen    timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text CHECK (ended_by IN ('call', 'silence')),
    opened       boolean NOT NULL,
    acted        boolean NOT NULL DEFAULT false,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX sessions_opened ON footfall.sessions (opened_at);
CREATE INDEX sessions_alive ON footfall.sessions (opened_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_installation ON footfall.sessions (installation) WHERE installation IS NOT NULL;
ALTER TABLE footfall.sessions
    ALTER COLUMN session SET STATISTICS 0,
    ALTER COLUMN installation SET STATISTICS 0,
    ALTER COLUMN service SET STATISTICS 0;
COMMENT ON TABLE footfall.sessions IS
    'One row per session, as long as its observations are kept, or until its installation is forgotten';
COMMENT ON COLUMN footfall.sessions.session IS 'As observations have it: a random id, or its hash';
COMMENT ON COLUMN footfall.sessions.installation IS 'As observations have it: a hash of a random id';
COMMENT ON COLUMN footfall.sessions.last_seen IS 'Its last sign of life, its end among them';
COMMENT ON COLUMN footfall.sessions.opened IS 'Whether its start was seen: what else is known of others counts nothing';
COMMENT ON COLUMN footfall.sessions.acted IS 'Whether it did anything but begin, go on and end';

CREATE TABLE footfall.session_marks (
    session uuid NOT NULL,
    time    timestamptz NOT NULL,
    event   text NOT NULL,
    change  smallint NOT NULL
);
CREATE INDEX session_marks_session ON footfall.session_marks (session);
ALTER TABLE footfall.session_marks ALTER COLUMN session SET STATISTICS 0;
COMMENT ON TABLE footfall.session_marks IS 'When something was opened (1) or closed (-1) in a session';

CREATE TABLE footfall.sessions_gone (
    day           date NOT NULL,
    service       text NOT NULL,
    sessions      bigint NOT NULL,
    ended         bigint NOT NULL,
    installations bigint NOT NULL,
    daily_active  bigint NOT NULL,
    seconds       double precision NOT NULL,
    PRIMARY KEY (day, service)
);
ALTER TABLE footfall.sessions_gone ALTER COLUMN service SET STATISTICS 0;
COMMENT ON TABLE footfall.sessions_gone IS 'What sessions whose rows are gone came to, by the day on which they began';

CREATE TABLE footfall.session_times_gone (
    day      date NOT NULL,
    event    text NOT NULL,
    sessions bigint NOT NULL,
    opened   bigint NOT NULL,
    seconds  double precision NOT NULL,
    PRIMARY KEY (day, event)
);
COMMENT ON TABLE footfall.session_times_gone IS 'The same of how long something was open in them';

CREATE TABLE footfall.session_state (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint NOT NULL DEFAULT 0,
    silence  interval NOT NULL DEFAULT interval '1 hour'
);
INSERT INTO footfall.session_state DEFAULT VALUES;
COMMENT ON TABLE footfall.session_state IS
    'Up to which commit sessions have been followed, and after how long without a sign of life one has ended';

-- One definition for what is shown and for what stays.
CREATE VIEW footfall.session_days AS
SELECT (opened_at AT TIME ZONE 'UTC')::date AS day, coalesce(service, '') AS service,
       count(*) AS sessions,
       count(*) FILTER (WHERE ended_by = 'call') AS ended,
       count(DISTINCT coalesce(installation, session)) AS installations,
       count(DISTINCT coalesce(installation, session))
           FILTER (WHERE acted AND last_seen >= opened_at + interval '30 seconds') AS daily_active,
       sum(extract(epoch FROM last_seen - opened_at))::float8 AS seconds
FROM footfall.sessions WHERE opened GROUP BY 1, 2;

-- How many are open after each change, never fewer than none: whose opening was not seen does not count.
CREATE VIEW footfall.session_times AS
SELECT session, event, sum(greatest(change, 0)) AS opened,
       sum(CASE WHEN depth > least(0, lowest) THEN extract(epoch FROM greatest(until - time, interval '0')) ELSE 0 END)::float8
           AS seconds
FROM (
    SELECT session, event, time, change, depth, min(depth) OVER one AS lowest,
           coalesce(lead(time) OVER one, last_seen) AS until
    FROM (
        SELECT m.session, m.event, m.time, m.change, s.last_seen,
               sum(m.change) OVER (PARTITION BY m.session, m.event ORDER BY m.time, m.change DESC) AS depth
        FROM footfall.session_marks m JOIN footfall.sessions s USING (session) WHERE s.opened
    ) AS deep WINDOW one AS (PARTITION BY session, event ORDER BY time, change DESC)
) AS marks GROUP BY session, event;
