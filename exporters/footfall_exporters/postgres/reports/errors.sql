-- Where does it fail, and how? Exact counts of failures by type, and their share of the event's outcomes.
WITH outcomes AS (
    SELECT surface, feature, event, {provider} AS provider, status, error_type, count
    FROM reporting.usage
    WHERE hour >= %(since)s AND hour < %(until)s AND action IN ('success', 'failure')
), totals AS (
    SELECT event, provider, sum(count) AS total FROM outcomes GROUP BY event, provider
)
SELECT o.surface, o.feature, o.event, o.provider, o.error_type, o.status,
       sum(o.count)::bigint AS count, (sum(o.count) / max(t.total))::float8 AS share
FROM outcomes o JOIN totals t ON t.event = o.event AND t.provider IS NOT DISTINCT FROM o.provider
WHERE o.status <> 'ok'
GROUP BY o.surface, o.feature, o.event, o.provider, o.error_type, o.status
ORDER BY count DESC, o.surface, o.feature, o.event, o.provider, o.error_type
