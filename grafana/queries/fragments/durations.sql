-- Histograms of the range, `at` a time: of days; or, {by_hour}, of hours from {kept} on, and of the days before.
(
    SELECT hour AS at, surface, feature, event, action, service, service_version, environment,
           observations, histogram
    FROM reporting.durations_by_hour WHERE {by_hour} AND {hours} AND hour >= {kept}
    UNION ALL
    SELECT day::timestamp AT TIME ZONE 'UTC', surface, feature, event, action, service, service_version, environment,
           observations, histogram
    FROM reporting.durations WHERE {days} AND (NOT {by_hour} OR day < ({kept} AT TIME ZONE 'UTC')::date)
) AS durations
