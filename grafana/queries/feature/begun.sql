-- How often it was begun (actions invoke and start). More than "Uses" means that some never came to an end. Exact.
SELECT coalesce(sum(count), 0)::bigint AS "Begun"
FROM {used} WHERE {selected} AND {begun}
