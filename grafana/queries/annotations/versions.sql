-- Where a version of a service was first seen, of all that is kept: by the day, UTC.
SELECT min(day)::timestamp AT TIME ZONE 'UTC' AS "time", service || ' ' || service_version AS text, 'version' AS tags
FROM reporting.usage_by_day
WHERE service_version IS NOT NULL AND service IS NOT NULL AND {of_product} AND {of_service}
GROUP BY service, service_version
HAVING min(day) BETWEEN ($__timeFrom()::timestamptz AT TIME ZONE 'UTC')::date
    AND ($__timeTo()::timestamptz AT TIME ZONE 'UTC')::date
ORDER BY 1, 2
