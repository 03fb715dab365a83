-- Every event of every feature in the range. "Begun" (actions invoke and start) above "Uses" means that some never came to an end: crashed, abandoned or still running. Exact counts.
SELECT surface AS "Surface", feature AS "Feature", event AS "Event", begun AS "Begun", ended AS "Uses",
       failed AS "Failed", (failed / nullif(ended, 0))::float8 AS "Failure rate"
FROM (
    SELECT surface, feature, event,
           coalesce(sum(count) FILTER (WHERE {begun}), 0) AS begun,
           coalesce(sum(count) FILTER (WHERE {ended}), 0) AS ended,
           coalesce(sum(count) FILTER (WHERE {ended} AND status <> 'ok'), 0) AS failed
    FROM {used} WHERE {selected}
    GROUP BY surface, feature, event
) AS per_event
ORDER BY ended DESC, surface, feature, event
