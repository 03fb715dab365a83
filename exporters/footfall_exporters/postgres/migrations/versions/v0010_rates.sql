-- Rate limits that all collectors of a store share (ADR 27): in no write-ahead log, in no backup.

CREATE UNLOGGED TABLE footfall.rate_key (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    key     bytea NOT NULL
);
ALTER TABLE footfall.rate_key ALTER COLUMN key SET STATISTICS 0;
COMMENT ON TABLE footfall.rate_key IS
    'The random key under which rate_windows knows senders; made by the first who needs it, lost with what it keys';

-- Only what is no key changes, on the page where it is.
CREATE UNLOGGED TABLE footfall.rate_windows (
    sender  bytea PRIMARY KEY,
    ends_ms bigint NOT NULL,
    used    bigint NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE footfall.rate_windows ALTER COLUMN sender SET STATISTICS 0;
COMMENT ON TABLE footfall.rate_windows IS
    'How much each sender has sent in its present minute; deleted soon after';
COMMENT ON COLUMN footfall.rate_windows.sender IS
    'BLAKE2b of a user or an address under rate_key, cut to 128 bits';
COMMENT ON COLUMN footfall.rate_windows.ends_ms IS
    'When its minute ends, by the clock of Postgres, in milliseconds of Unix time';
COMMENT ON COLUMN footfall.rate_windows.used IS 'The weight of its requests, those that were refused among them';
