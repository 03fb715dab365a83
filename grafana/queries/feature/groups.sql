-- Distinct groups that used each feature, per UTC day, counted from salted hashes six hours after the day's end. A gap: fewer than five, or it cannot be known. Filtered by product and feature.
SELECT {day}, feature || ' · ' || attribute AS metric, groups AS value
FROM reporting.groups
WHERE {days} AND period = 'day' AND scope = 'feature' AND {in_product} AND {of_feature}
ORDER BY 1, 2
