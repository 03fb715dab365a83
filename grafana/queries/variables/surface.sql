-- Where it is used, as the catalogs of the chosen products say.
SELECT DISTINCT surface FROM reporting.catalog WHERE {in_product} ORDER BY 1
