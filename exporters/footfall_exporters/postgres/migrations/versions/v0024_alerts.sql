-- Alerts: what is so just now, who is not told of it, and what is on its way to whom (ADR 40).

CREATE TABLE footfall.alert_clock (
    is_only   boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    looked_at timestamptz NOT NULL
);
COMMENT ON TABLE footfall.alert_clock IS
    'When the rules were last looked at: the collector that does so locks the row until it has noted what it found';
INSERT INTO footfall.alert_clock (looked_at) VALUES ('-infinity');

CREATE TABLE footfall.alert_rules (
    rule      text PRIMARY KEY,
    looked_at timestamptz NOT NULL,
    took_ms   integer NOT NULL,
    outcome   text NOT NULL
);
COMMENT ON TABLE footfall.alert_rules IS 'The rules that are on: when each was last looked at, and how that went';

CREATE TABLE footfall.alerts (
    rule           text NOT NULL,
    product        text NOT NULL,
    subject        text NOT NULL,
    firing         boolean NOT NULL,
    in_a_row       integer NOT NULL,
    since          timestamptz NOT NULL,
    fired_at       timestamptz,
    told           boolean NOT NULL,
    silenced_until timestamptz,
    what           text NOT NULL,
    sure           text NOT NULL,
    PRIMARY KEY (rule, product, subject)
);
COMMENT ON TABLE footfall.alerts IS
    'What a rule found, at the last look or a few before: firing once it was so in several looks in a row';
COMMENT ON COLUMN footfall.alerts.product IS 'Empty: of the whole store';
COMMENT ON COLUMN footfall.alerts.subject IS 'An event, a task, a subscriber, a reason or a listener; empty: the product';
COMMENT ON COLUMN footfall.alerts.in_a_row IS
    'How many looks in a row found it, while it does not fire; how many did not, while it fires';
COMMENT ON COLUMN footfall.alerts.told IS 'Whether messages were written that it fires: not as long as it is silenced';

CREATE TABLE footfall.alert_silences (
    rule    text NOT NULL,
    product text NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (rule, product)
);
COMMENT ON TABLE footfall.alert_silences IS 'Until when nobody is told of a rule (footfall alerts silence)';
COMMENT ON COLUMN footfall.alert_silences.product IS 'Empty: of every product';

CREATE TABLE footfall.alert_messages (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    message jsonb NOT NULL,
    due     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE footfall.alert_messages IS
    'Messages that a target (alerts.targets, by its name) has not taken yet, the oldest first';
COMMENT ON COLUMN footfall.alert_messages.due IS
    'When it is tried; whoever sends it moves this on, so that of several collectors one does';

CREATE TABLE footfall.certificates (
    listener text NOT NULL,
    ends     timestamptz NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (listener, ends)
);
COMMENT ON TABLE footfall.certificates IS 'When certificates of the collectors that run end';
