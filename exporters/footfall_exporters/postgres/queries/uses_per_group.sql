-- How often a group that is active on a day ends something, by version and event, and in all ('(all)'): of days on which
-- one version alone sent that, and whose groups are known exactly. By the attribute that most events have.
WITH sent AS MATERIALIZED (
    SELECT day, coalesce(event, '(all)') AS event, min(service) AS service, min(service_version) AS version,
           coalesce(sum(count) FILTER (WHERE action IN ('success', 'failure')), 0) AS ends
    FROM reporting.usage_by_day
    WHERE day >= %(since)s AND count > 0 AND (%(events)s::text[] IS NULL OR event = ANY(%(events)s))
    GROUP BY GROUPING SETS ((day, event), (day))
    HAVING count(service) = count(*) AND count(service_version) = count(*)
    AND min(service) = max(service) AND min(service_version) = max(service_version)
), active AS MATERIALIZED (
    SELECT day, coalesce(event, '(all)') AS event, attribute, groups, reason FROM reporting.groups
    WHERE period = 'day' AND scope IN ('all', 'event') AND day >= %(since)s
)
SELECT s.version, s.event, (sum(s.ends) / sum(a.groups))::float8
FROM sent s JOIN active a USING (day, event)
WHERE a.groups >= 5 AND a.reason IS NULL AND s.service = %(service)s AND s.version = ANY(%(versions)s)
AND a.attribute = (
    SELECT attribute FROM active WHERE event <> '(all)' GROUP BY attribute
    ORDER BY count(*) DESC, attribute LIMIT 1
)
GROUP BY 1, 2
