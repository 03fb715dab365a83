-- What may leave the team: uses of closed days that at least so many groups or actors are behind. Empty unless it is configured (docs/publishing.md).
SELECT day AS "Day", product AS "Product", coalesce(title, 'others together') AS "Title", count AS "Uses"
FROM reporting.published WHERE {days} AND {in_product}
ORDER BY day DESC, product, count DESC, title
