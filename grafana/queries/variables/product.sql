-- Of which product: the catalogs that this store's collectors have read.
SELECT DISTINCT product FROM reporting.catalog ORDER BY 1
