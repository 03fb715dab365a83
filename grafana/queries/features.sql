-- Every event of every feature. "Begun" (actions invoke and start) above "Uses" means that some never came to an end: crashed, abandoned or still running. Exact counts.
SELECT surface AS "Surface", feature AS "Feature", event AS "Event", begun AS "Begun", ended AS "Uses",
       failed AS "Failed", (failed / ended)::float8 AS "Failure rate"
FROM (
    SELECT surface, feature, event,
           sum(count) FILTER (WHERE {begun}) AS begun,
           sum(count) FILTER (WHERE {ended}) AS ended,
           sum(count) FILTER (WHERE {ended} AND status <> 'ok') AS failed
    FROM reporting.usage
    WHERE {hours} AND {selected}
    GROUP BY surface, feature, event
) AS per_event
ORDER BY ended DESC NULLS LAST, surface, feature, event
