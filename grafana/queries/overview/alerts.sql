-- What the rules of alerts say that is so now, how sure that is, and whether people are told (`footfall alerts`). Whatever the range; filtered by product.
SELECT what AS "What", sure AS "How sure", since AS "Since", rule AS "Rule", product AS "Product",
       silenced_until AS "Silenced until"
FROM reporting.alerts
WHERE firing AND (product IS NULL OR {in_product})
ORDER BY since, rule, product, what
