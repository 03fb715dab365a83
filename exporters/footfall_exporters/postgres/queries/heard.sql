-- How long ago, in seconds, was the last request, and the hour of the last event of an application?
-- And how many requests came within the last minute?
SELECT extract(epoch FROM clock_timestamp() - max(received_at))::float8 AS request,
       (SELECT extract(epoch FROM clock_timestamp() - max(hour))::float8
        FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
        AND d.surface <> 'footfall' AND c.hour > clock_timestamp() - %(reach)s) AS event,
       count(*) FILTER (WHERE received_at > clock_timestamp() - interval '1 minute') AS minute
FROM footfall.ingest_batches
