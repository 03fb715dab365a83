-- When was the last event of an application stored? Among the newest commits, without the tallies of SDKs.
SELECT clock_timestamp() AS now, (
    SELECT c.committed_at
    FROM (SELECT * FROM footfall.commits ORDER BY position DESC LIMIT 5000) AS c
    WHERE c.last_time IS NOT NULL OR EXISTS (
        SELECT FROM unnest(c.count_dims) AS counted (id)
        JOIN footfall.feature_dims d USING (id) WHERE d.surface <> 'footfall'
    ) ORDER BY c.position DESC LIMIT 1
) AS last
