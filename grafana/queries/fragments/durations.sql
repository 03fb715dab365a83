-- Histograms of the range, `at` a time: of hours, which are kept for 8 days, and of days before.
(
    SELECT hour AS at, surface, feature, event, action, service, service_version, environment, observations, histogram
    FROM reporting.durations_by_hour WHERE {hours} AND hour >= {hours_kept}
    UNION ALL
    SELECT day::timestamp AT TIME ZONE 'UTC', surface, feature, event, action, service, service_version, environment,
           observations, histogram
    FROM reporting.durations WHERE {days} AND day < ({hours_kept})::date
) AS durations
