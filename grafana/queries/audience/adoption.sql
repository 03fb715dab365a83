-- How many groups used each event in the last week that is counted, and their share of all that used the product. Whatever the range; filtered by product, surface and feature. Events that no group used are left out, or that carry none.
SELECT title AS "Title", feature AS "Feature", active_groups AS "Groups", active_per AS "Per", adoption AS "Adoption"
FROM reporting.features
WHERE active_groups IS NOT NULL AND {in_product} AND {place}
ORDER BY adoption DESC NULLS LAST, title, event
