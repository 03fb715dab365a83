-- Each kind of failure: how often, in how many features, and on which days of the range (UTC) first and last. Exact counts.
SELECT coalesce(error_type, '(none)') AS "Error type", status AS "Status", sum(count)::bigint AS "Failures",
       count(DISTINCT (surface, feature)) AS "Features", min(day) AS "First seen", max(day) AS "Last seen"
FROM reporting.usage_by_day WHERE {days} AND {selected} AND {failed}
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
