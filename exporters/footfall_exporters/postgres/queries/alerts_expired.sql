-- Which events has the catalog let expire, and who answers for them?
SELECT event || coalesce(' of ' || nullif(owner, ''), '') FROM footfall.catalog_events
WHERE declared AND expires < (clock_timestamp() AT TIME ZONE 'UTC')::date ORDER BY event
