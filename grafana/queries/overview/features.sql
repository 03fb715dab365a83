-- Every event of every feature in the range. "Begun" (actions invoke and start) above "Uses" means that some never came to an end: crashed, abandoned or still running. "Failure rate" is of what ended (success, failure). Exact counts.
SELECT surface AS "Surface", feature AS "Feature", event AS "Event", begun AS "Begun", uses AS "Uses",
       failed AS "Failed", (failed / nullif(ended, 0))::float8 AS "Failure rate"
FROM (
    SELECT surface, feature, event,
           coalesce(sum(count) FILTER (WHERE {begun}), 0) AS begun,
           coalesce(sum(count) FILTER (WHERE {is_use}), 0) AS uses,
           coalesce(sum(count) FILTER (WHERE {ended}), 0) AS ended,
           coalesce(sum(count) FILTER (WHERE {failed}), 0) AS failed
    FROM {used} WHERE {selected}
    GROUP BY surface, feature, event
) AS per_event
ORDER BY uses DESC, surface, feature, event
