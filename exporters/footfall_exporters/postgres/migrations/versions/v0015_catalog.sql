-- What the catalogs declare, so that an event that never came is there to be seen.

CREATE TABLE footfall.catalog_events (
    product        text NOT NULL,
    event          text NOT NULL,
    title          text NOT NULL,
    description    text NOT NULL,
    owner          text NOT NULL,
    surface        text NOT NULL,
    feature        text NOT NULL,
    actions        text[] NOT NULL,
    expires        date,
    declared       boolean NOT NULL DEFAULT true,
    first_declared timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_declared  timestamptz NOT NULL DEFAULT clock_timestamp(),
    version        text NOT NULL,
    PRIMARY KEY (product, event)
);
COMMENT ON TABLE footfall.catalog_events IS 'The events of every catalog that a collector has started with';
COMMENT ON COLUMN footfall.catalog_events.product IS 'Whose event it is';
COMMENT ON COLUMN footfall.catalog_events.event IS 'Its name';
COMMENT ON COLUMN footfall.catalog_events.title IS 'What people call it; made of the feature where the catalog has none';
COMMENT ON COLUMN footfall.catalog_events.description IS 'For people; empty where the catalog has none';
COMMENT ON COLUMN footfall.catalog_events.owner IS 'Who answers for it; empty where the catalog names nobody';
COMMENT ON COLUMN footfall.catalog_events.surface IS 'Where it happens';
COMMENT ON COLUMN footfall.catalog_events.feature IS 'What is used';
COMMENT ON COLUMN footfall.catalog_events.actions IS 'What may be said about it';
COMMENT ON COLUMN footfall.catalog_events.expires IS 'The last day on which it is accepted, if there is one';
COMMENT ON COLUMN footfall.catalog_events.declared IS 'Whether its product''s catalog still had it, when it was last read';
COMMENT ON COLUMN footfall.catalog_events.first_declared IS 'When a collector first read it';
COMMENT ON COLUMN footfall.catalog_events.last_declared IS 'When a collector last read it';
COMMENT ON COLUMN footfall.catalog_events.version IS 'The fingerprint of the catalog in which it was last read';
