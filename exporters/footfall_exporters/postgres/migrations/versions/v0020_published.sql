-- What may leave the team (ADR 36): days that are closed, small cells folded, nothing that changes afterwards.

CREATE TABLE footfall.publishing (
    product text PRIMARY KEY,
    k       integer NOT NULL CHECK (k >= 2)
);
COMMENT ON TABLE footfall.publishing IS
    'The products that are published, as the configuration says: what others see are their days alone';

CREATE TABLE footfall.published_days (
    day     date NOT NULL,
    product text NOT NULL,
    k       integer NOT NULL CHECK (k >= 2),
    PRIMARY KEY (day, product)
);
COMMENT ON TABLE footfall.published_days IS
    'Days (UTC) that were published, each once; k: the fewest distinct groups or actors that a figure stands for';

CREATE TABLE footfall.published (
    day     date NOT NULL,
    product text NOT NULL,
    event   text NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (day, product, event),
    FOREIGN KEY (day, product) REFERENCES footfall.published_days ON DELETE CASCADE
);
COMMENT ON TABLE footfall.published IS 'Uses per day (UTC), product and event, or of small events together (empty)';

-- Who sees that and nothing else; as with the other roles, an owner may be unable to make it.
DO $$
BEGIN
    CREATE ROLE footfall_public NOLOGIN;
EXCEPTION
    WHEN duplicate_object THEN NULL;
    WHEN unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role footfall_public was not created: the owner may not create roles';
END
$$;
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT footfall_public TO %I', current_user);
    END IF;
EXCEPTION
    WHEN undefined_object THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the owner is no member of footfall_public, and may not make itself one';
END
$$;
