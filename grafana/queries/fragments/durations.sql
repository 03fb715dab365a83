-- Histograms of the range, `at` a time: of days before {split}, of hours from there on.
(
    SELECT hour AS at, surface, feature, event, action, service, service_version, environment,
           observations, histogram
    FROM reporting.durations_by_hour WHERE {hours} AND hour >= {split}
    UNION ALL
    SELECT day::timestamp AT TIME ZONE 'UTC', surface, feature, event, action, service, service_version, environment,
           observations, histogram
    FROM reporting.durations WHERE {days} AND day < ({split} AT TIME ZONE 'UTC')::date
) AS durations
