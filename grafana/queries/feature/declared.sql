-- What the catalogs say of it, used or not: nothing else is stored. Whatever the range; filtered by product, surface and feature.
SELECT event AS "Event", title AS "Title", description AS "Description", owner AS "Owner",
       array_to_string(actions, ', ') AS "Actions", expires AS "Expires", declared AS "Declared",
       first_declared AS "Since"
FROM reporting.catalog WHERE {in_product} AND {place}
ORDER BY event
