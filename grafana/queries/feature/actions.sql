-- The same counts, action by action: what `footfall report usage` prints.
SELECT surface AS "Surface", feature AS "Feature", event AS "Event", action AS "Action", sum(count)::bigint AS "Count"
FROM {used} WHERE {selected}
GROUP BY surface, feature, event, action
ORDER BY surface, feature, event, array_position('{invoke,start,success,failure}', action), action
