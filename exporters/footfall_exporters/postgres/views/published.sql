-- What may leave the team: uses per day (UTC), product and event, of days that are closed; of events that
-- too few groups or actors used on a day, together or not at all (ADR 36)
SELECT p.day, p.product, nullif(p.event, {other}) AS event, c.title, c.surface, c.feature, p.count
FROM footfall.published p JOIN footfall.publishing USING (product)
LEFT JOIN footfall.catalog_events c USING (product, event)
