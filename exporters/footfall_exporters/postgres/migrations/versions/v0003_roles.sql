-- The role that the ingest connection takes on. Roles belong to the cluster, and not every owner
-- may make them: then the connection keeps the owner's rights, and `footfall doctor` says so. What the role may
-- do is granted at every start (roles.py), because roles may also be made later, by someone else.
DO $$
BEGIN
    CREATE ROLE footfall_writer NOLOGIN;
EXCEPTION
    WHEN duplicate_object THEN NULL;
    WHEN unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role footfall_writer was not created: the owner may not create roles';
END
$$;

-- Whoever makes a role may grant it, but is no member of it from Postgres 16 on.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT footfall_writer TO %I', current_user);
    END IF;
EXCEPTION
    WHEN undefined_object THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the owner is no member of footfall_writer, and may not make itself one';
END
$$;
