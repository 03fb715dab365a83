-- What is fading, unused, expiring or expired, with who answers for it. Whatever the range; filtered by product, surface and feature.
SELECT verdict AS "Verdict", title AS "Title", feature AS "Feature", owner AS "Owner", uses AS "Uses",
       change AS "Change", last_used AS "Last used", expires AS "Expires"
FROM reporting.features
WHERE verdict IN ('fading', 'unused', 'expiring', 'expired') AND {in_product} AND {place}
ORDER BY verdict, uses, title, event
