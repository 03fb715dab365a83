-- Where it fails and how: each kind of failure, and its share of what ended (success, failure) of that feature with that provider. Exact counts.
WITH counted AS MATERIALIZED (
    SELECT surface, feature, provider, error_type, status, sum(count) AS count
    FROM {used} WHERE {selected} AND {ended}
    GROUP BY surface, feature, provider, error_type, status
), per_kind AS (
    SELECT *, sum(count) OVER (PARTITION BY surface, feature, provider) AS ended FROM counted
)
SELECT surface AS "Surface", feature AS "Feature", provider AS "Provider", error_type AS "Error type",
       status AS "Status", count::bigint AS "Failures", (count / ended)::float8 AS "Share of ends"
FROM per_kind WHERE status <> 'ok'
ORDER BY count DESC, surface, feature, provider, error_type, status
