-- Versions are compared in each environment as well, which is what the page is asked for (ADR 44).

ALTER TABLE footfall.releases
    ADD COLUMN environment text NOT NULL DEFAULT '',
    DROP CONSTRAINT releases_pkey,
    ADD PRIMARY KEY (environment, service, event);
COMMENT ON COLUMN footfall.releases.environment IS 'In which environment; empty: in all together';
