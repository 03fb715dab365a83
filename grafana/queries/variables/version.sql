-- Of which version of the chosen services, the last to be seen first; "(none)" was sent by nobody, or not kept.
SELECT version FROM (
    SELECT coalesce(service_version, '(none)') AS version, min(day) AS first
    FROM reporting.usage_by_day
    WHERE {days} AND {of_product} AND {of_service}
    GROUP BY 1
) AS seen
ORDER BY first DESC, version DESC
