-- Every declared event with its verdict: uses of the last 28 days that are over against as many before, and the 95 % interval of that change; what fails, how fast, for how many. Whatever the range; filtered by product, surface and feature.
SELECT title AS "Title", verdict AS "Verdict", product AS "Product", surface AS "Surface", feature AS "Feature",
       uses AS "Uses", change AS "Change", change_low AS "At least", change_high AS "At most",
       failures AS "Failed", p95_ms AS "p95", active_groups AS "Groups", adoption AS "Adoption",
       last_used AS "Last used", owner AS "Owner"
FROM reporting.features WHERE {in_product} AND {place}
ORDER BY uses DESC NULLS LAST, title, event
