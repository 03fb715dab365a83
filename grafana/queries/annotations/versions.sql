-- Where a version of a service was first seen in the environments that are chosen, of all that is kept: in which hour. Of every product: a version has none.
SELECT "time", text, tags
FROM (
    SELECT min(at) AS "time", text, 'version' AS tags
    FROM reporting.annotations
    WHERE kind = 'version' AND {of_service} AND {of_environment} AND {annotated_version}
    GROUP BY text
) AS first
WHERE "time" BETWEEN $__timeFrom() AND $__timeTo()
ORDER BY 1, 2
