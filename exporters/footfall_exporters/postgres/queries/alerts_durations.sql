-- How long did each event take in each of some hours? As histograms.
SELECT event, sum(histogram)::text AS histogram
FROM reporting.durations_by_hour
WHERE hour = ANY(%(hours)s)
GROUP BY event, hour
