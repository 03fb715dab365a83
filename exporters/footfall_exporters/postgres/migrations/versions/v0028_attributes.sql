-- What events may carry, as catalogs say; a collector writes it when it starts.

CREATE TABLE footfall.catalog_attributes (
    product     text NOT NULL,
    event       text NOT NULL,
    attribute   text NOT NULL,
    holds       text NOT NULL,
    lasts       text,
    names       text NOT NULL,
    description text NOT NULL,
    PRIMARY KEY (product, event, attribute),
    FOREIGN KEY (product, event) REFERENCES footfall.catalog_events ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE footfall.catalog_attributes IS 'The attributes of each event that a catalog declares';
COMMENT ON COLUMN footfall.catalog_attributes.holds IS 'enum, number, boolean, hash, identifier or text';
COMMENT ON COLUMN footfall.catalog_attributes.lasts IS 'For how long equal hashes stay equal; NULL of what is none';
COMMENT ON COLUMN footfall.catalog_attributes.names IS 'Whether it could name somebody: no, pseudonym or maybe';
COMMENT ON COLUMN footfall.catalog_attributes.description IS 'For people; empty where the catalog has none';
