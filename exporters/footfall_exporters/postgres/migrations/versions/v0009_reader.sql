-- `footfall sql` becomes the reader: whoever makes a role may grant it, but is no member of it from Postgres 16 on.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT footfall_reader TO %I', current_user);
    END IF;
EXCEPTION
    WHEN undefined_object THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the owner is no member of footfall_reader, and may not make itself one';
END
$$;
