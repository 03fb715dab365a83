-- What happened, as operators say it (docs/reports.md, "What happened"); keys that sign logins and links.

CREATE TABLE footfall.annotations (
    id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    text    text NOT NULL CHECK (length(text) BETWEEN 1 AND 280),
    product text NOT NULL DEFAULT '' CHECK (length(product) <= 128),
    version text NOT NULL DEFAULT '' CHECK (length(version) <= 128),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE footfall.annotations IS 'What operators say that happened, for charts and tables; kept until it is removed';
COMMENT ON COLUMN footfall.annotations.at IS 'When it happened';
COMMENT ON COLUMN footfall.annotations.product IS 'To which product; empty: to all';
COMMENT ON COLUMN footfall.annotations.version IS 'With which version; empty: with none';

CREATE TABLE footfall.page_keys (
    name    text PRIMARY KEY,
    secret  bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE footfall.page_keys ALTER COLUMN secret SET STATISTICS 0;
COMMENT ON TABLE footfall.page_keys IS
    'Random keys, made when they are needed: `logins` signs cookies, `shares` links; in no backup, and made anew at will';
