-- One to five stars, once for each prompt, owner and day (ADR 30).
CREATE TABLE footfall.ratings (
    prompt     text NOT NULL CHECK (length(prompt) BETWEEN 1 AND 256),
    owner      uuid NOT NULL,
    day        date NOT NULL,
    created_at timestamptz NOT NULL,
    rating     smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    source     text NOT NULL CHECK (source IN ('copy', 'duplicate', 'manual', 'other')),
    version    text CHECK (length(version) <= 64),
    note       text CHECK (length(note) <= 280),
    PRIMARY KEY (prompt, owner, day)
);
ALTER TABLE footfall.ratings
    ALTER COLUMN prompt SET STATISTICS 0,
    ALTER COLUMN owner SET STATISTICS 0,
    ALTER COLUMN version SET STATISTICS 0,
    ALTER COLUMN note SET STATISTICS 0;
COMMENT ON TABLE footfall.ratings IS
    'What owners said of prompts: the last rating of each prompt, owner and day; deleted with the day''s observations';
COMMENT ON COLUMN footfall.ratings.prompt IS
    'Keyed hash of its id, under the static salt; the id itself where the catalog declares it without a hash';
COMMENT ON COLUMN footfall.ratings.owner IS 'Keyed hash of whose rating it is, under the static salt';
COMMENT ON COLUMN footfall.ratings.day IS 'The day (UTC) on which it was given, by Postgres'' clock';
COMMENT ON COLUMN footfall.ratings.created_at IS 'When the rating that stands was given';
COMMENT ON COLUMN footfall.ratings.rating IS 'Stars';
COMMENT ON COLUMN footfall.ratings.source IS 'What the owner had done with the prompt';
COMMENT ON COLUMN footfall.ratings.version IS 'Of the prompt, as the client calls it, redacted';
COMMENT ON COLUMN footfall.ratings.note IS 'What the owner wrote, redacted, then cut';
