-- How often was what used? Exact counts by surface, feature, event and action.
SELECT surface, feature, event, action, sum(count)::bigint AS count
FROM reporting.usage
WHERE hour >= %(since)s AND hour < %(until)s
GROUP BY surface, feature, event, action
ORDER BY surface, feature, event, array_position('{invoke,start,success,failure}', action), action
