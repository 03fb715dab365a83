-- Of which product is each event?
SELECT event, product FROM reporting.catalog
