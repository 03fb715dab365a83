-- What is kept for how long, as the collector that last kept house has it.
SELECT what AS "What", coalesce(product, 'every') AS "Product", coalesce(environment, 'every') AS "Environment",
       (extract(epoch FROM kept) / 86400)::float8 AS "Days"
FROM reporting.retention ORDER BY 1, 2, 3
