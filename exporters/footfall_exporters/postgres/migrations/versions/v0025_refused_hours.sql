-- Refused requests by the hour, for alerts: how many, why, and whether whoever sent them has a key. Nothing of
-- a request is in it, and no name: so nobody makes rows by what they send.

CREATE TABLE footfall.refused_hours (
    hour     timestamptz NOT NULL,
    signal   text NOT NULL,
    reason   text NOT NULL,
    has_key  boolean NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (hour, signal, reason, has_key)
);
COMMENT ON TABLE footfall.refused_hours IS 'Requests refused, by the hour in which the store was told of them';
COMMENT ON COLUMN footfall.refused_hours.has_key IS 'Whether the sender showed a key that is, or was, one of ours';
