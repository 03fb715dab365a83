-- Which features of the chosen products and surfaces, used or not.
SELECT DISTINCT feature FROM reporting.catalog WHERE {in_product} AND {on_surface} ORDER BY 1
