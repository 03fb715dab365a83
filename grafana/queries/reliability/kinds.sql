-- Each kind of failure: how often, in how many features, and on which days of the range (UTC) first and last. Exact counts.
WITH of_features AS MATERIALIZED (
    SELECT coalesce(error_type, '(none)') AS error_type, status, sum(count) AS failures,
           min(day) AS first, max(day) AS last
    FROM reporting.usage_by_day WHERE {days} AND {selected} AND {failed}
    GROUP BY 1, 2, surface, feature
)
SELECT error_type AS "Error type", status AS "Status", sum(failures)::bigint AS "Failures",
       count(*) AS "Features", min(first) AS "First seen", max(last) AS "Last seen"
FROM of_features GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
