-- Adds histograms to their hours, if these are kept, and days; which days and dimensions these were.
WITH new AS MATERIALIZED (
    SELECT hour, (hour AT TIME ZONE 'UTC')::date AS day, dim_id, histogram
    FROM ({histograms}) AS found {kept}
), hours AS (
    INSERT INTO footfall.latency_hours AS l (hour, dim_id, histogram)
    SELECT hour, dim_id, histogram FROM new
    WHERE hour >= clock_timestamp() - interval '{hours_kept}' ORDER BY 1, 2
    ON CONFLICT (hour, dim_id) DO UPDATE SET histogram = l.histogram + excluded.histogram
)
INSERT INTO footfall.latency_days AS l (day, dim_id, histogram)
SELECT day, dim_id, sum(histogram) FROM new GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (day, dim_id) DO UPDATE SET histogram = l.histogram + excluded.histogram
RETURNING day, dim_id
