-- Events that say when they begin, and how they end: how often they began, and how often they ended (success, failure) in the same time. Begun and never ended: crashed, abandoned, or still running. Exact counts.
SELECT feature AS "Feature", event AS "Event", begun AS "Begun", ended AS "Ended", greatest(begun - ended, 0) AS "Not ended"
FROM (
    SELECT feature, event, coalesce(sum(count) FILTER (WHERE {begun}), 0)::bigint AS begun,
           coalesce(sum(count) FILTER (WHERE {ended}), 0)::bigint AS ended
    FROM {used} WHERE {selected} AND {has_ends}
    GROUP BY feature, event
) AS per_event
WHERE begun > 0
ORDER BY 5 DESC, event
