-- One row for each attribute that an event may carry, as its catalog says, and whether it could name somebody
SELECT a.product, a.event, a.attribute, a.holds, a.lasts, a.names,
       nullif(a.description, '') AS description
FROM footfall.catalog_attributes a JOIN footfall.catalog_events e
ON (e.product, e.event) = (a.product, a.event) WHERE e.declared
