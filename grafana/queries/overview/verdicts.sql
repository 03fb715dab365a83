-- How many declared events have which verdict: each compares the last 28 days that are over with those before, and says growing or fading only beyond chance (docs/reporting.md). Whatever the range; filtered by product, surface and feature.
SELECT coalesce(verdict, 'not yet looked at') AS metric, count(*) AS value
FROM reporting.features WHERE {in_product} AND {place}
GROUP BY 1 ORDER BY 2 DESC, 1
