-- How much was erased because whoever has its receipt asked for it, in all.
SELECT erased AS "Erased" FROM reporting.freshness
