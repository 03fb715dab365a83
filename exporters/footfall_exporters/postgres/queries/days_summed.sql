-- Of each version and event, and of all events together ('(all)'), what is to be known of the days that are counted:
-- their sums, and how far they differ
WITH days AS MATERIALIZED ({days})
SELECT service_version, event, sum(ends)::bigint, sum(failures)::bigint,
       coalesce(sum(failures::float8 * failures / nullif(ends, 0)), 0), count(*) FILTER (WHERE ends > 0)
FROM days GROUP BY service_version, event
UNION ALL
SELECT service_version, '(all)', sum(ends)::bigint, sum(failures)::bigint,
       coalesce(sum(failures::float8 * failures::float8 / nullif(ends, 0)::float8), 0), count(*) FILTER (WHERE ends > 0)
FROM (
    SELECT service_version, sum(ends) AS ends, sum(failures) AS failures FROM days GROUP BY service_version, day
) AS every GROUP BY service_version
