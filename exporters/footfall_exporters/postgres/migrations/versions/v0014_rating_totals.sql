-- What all say of a prompt, so that nobody who rates it has to wait until all ratings are read (ADR 30).

-- What changes is no key: it changes on the page where it is.
CREATE TABLE footfall.rating_totals (
    prompt text PRIMARY KEY,
    owners bigint NOT NULL DEFAULT 0,
    total  bigint NOT NULL DEFAULT 0,
    stars  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
ALTER TABLE footfall.rating_totals ALTER COLUMN prompt SET STATISTICS 0;
COMMENT ON TABLE footfall.rating_totals IS 'The ratings of each prompt, added up; whoever changes them holds its row';
COMMENT ON COLUMN footfall.rating_totals.prompt IS 'As in ratings';
COMMENT ON COLUMN footfall.rating_totals.owners IS 'How many owners have rated it';
COMMENT ON COLUMN footfall.rating_totals.total IS 'How many ratings it has';
COMMENT ON COLUMN footfall.rating_totals.stars IS 'Their sum';
INSERT INTO footfall.rating_totals (prompt, owners, total, stars)
SELECT prompt, count(DISTINCT owner), count(*), sum(rating) FROM footfall.ratings GROUP BY prompt;

-- Each statement of a function sees what was committed before it: once a prompt's row is held, its ratings stay.
CREATE FUNCTION footfall.rate(ratings json)
RETURNS TABLE (prompt text, owners bigint, total bigint, stars bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- In order: two that rate at the same time wait for each other, never in a ring.
    INSERT INTO footfall.rating_totals AS t (prompt)
    SELECT DISTINCT prompt FROM json_to_recordset(ratings) AS s (prompt text) ORDER BY prompt
    ON CONFLICT (prompt) DO UPDATE SET total = t.total;
    RETURN QUERY
    WITH said AS (
        SELECT *, statement_timestamp() AS created_at, (statement_timestamp() AT TIME ZONE 'UTC')::date AS day
        FROM json_to_recordset(ratings) AS s
            (prompt text, owner uuid, rating smallint, source text, version text, note text)
    ), more AS (
        SELECT s.prompt,
               count(*) FILTER (WHERE NOT EXISTS (
                   SELECT FROM footfall.ratings AS r WHERE (r.prompt, r.owner) = (s.prompt, s.owner))) AS owners,
               count(*) FILTER (WHERE was.rating IS NULL) AS total,
               sum(s.rating - coalesce(was.rating, 0)) AS stars
        FROM said AS s
        LEFT JOIN footfall.ratings AS was ON (was.prompt, was.owner, was.day) = (s.prompt, s.owner, s.day)
        GROUP BY s.prompt
    ), put AS (
        INSERT INTO footfall.ratings (prompt, owner, day, created_at, rating, source, version, note)
        SELECT prompt, owner, day, created_at, rating, source, version, note FROM said
        ON CONFLICT (prompt, owner, day) DO UPDATE SET created_at = excluded.created_at,
            rating = excluded.rating, source = excluded.source, version = excluded.version, note = excluded.note
    )
    UPDATE footfall.rating_totals AS t
    SET owners = t.owners + more.owners, total = t.total + more.total, stars = t.stars + more.stars
    FROM more WHERE t.prompt = more.prompt
    RETURNING t.prompt, t.owners, t.total, t.stars;
END $$;
REVOKE ALL ON FUNCTION footfall.rate(json) FROM PUBLIC;
COMMENT ON FUNCTION footfall.rate(json) IS
    'Keeps ratings of today, each in the place of the one before it, and gives what all say of their prompts';

-- Whoever deletes ratings, and whatever for.
CREATE FUNCTION footfall.ratings_are_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM footfall.rating_totals AS t
    WHERE t.prompt IN (SELECT prompt FROM gone) ORDER BY t.prompt FOR UPDATE;
    UPDATE footfall.rating_totals AS t
    SET owners = t.owners - less.owners, total = t.total - less.total, stars = t.stars - less.stars
    FROM (
        SELECT g.prompt, count(*) AS total, sum(g.rating) AS stars,
               count(DISTINCT g.owner) FILTER (WHERE NOT EXISTS (
                   SELECT FROM footfall.ratings AS r WHERE (r.prompt, r.owner) = (g.prompt, g.owner))) AS owners
        FROM gone AS g GROUP BY g.prompt
    ) AS less WHERE t.prompt = less.prompt;
    DELETE FROM footfall.rating_totals AS t WHERE t.total = 0 AND t.prompt IN (SELECT prompt FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER gone AFTER DELETE ON footfall.ratings REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION footfall.ratings_are_gone();
