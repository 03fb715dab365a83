-- Counts of the range, `at` a time: by the hour before {first} and from {last} on, by the day between them. A catalog
-- may have no attribute `provider`: its name means that of `absent` then.
(
    SELECT counted.* FROM (SELECT NULL::text AS provider) AS absent CROSS JOIN LATERAL (
        SELECT hour AS at, surface, feature, event, action, status, coalesce(error_type, '(none)') AS error_type,
               service, service_version, environment, count, coalesce(provider, '(none)') AS provider
        FROM reporting.usage WHERE {hours} AND hour < {first}
        UNION ALL
        SELECT hour, surface, feature, event, action, status, coalesce(error_type, '(none)'),
               service, service_version, environment, count, coalesce(provider, '(none)')
        FROM reporting.usage WHERE {hours} AND hour >= greatest({first}, {last})
        UNION ALL
        SELECT day::timestamp AT TIME ZONE 'UTC', surface, feature, event, action, status,
               coalesce(error_type, '(none)'), service, service_version, environment, count,
               coalesce(provider, '(none)')
        FROM reporting.usage_by_day
        WHERE day >= ({first} AT TIME ZONE 'UTC')::date AND day < ({last} AT TIME ZONE 'UTC')::date
    ) AS counted
) AS used
