-- When was anything stored last, and how long were nearly all pauses between events, among the newest commits?
SELECT max(committed_at) AS alive, coalesce((
    SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY pause)
    FROM (
        SELECT c.committed_at - lag(c.committed_at) OVER (ORDER BY c.position) AS pause
        FROM (SELECT * FROM footfall.commits ORDER BY position DESC LIMIT 5000) AS c
        WHERE c.last_time IS NOT NULL OR EXISTS (
            SELECT FROM unnest(c.count_dims) AS counted (id)
            JOIN footfall.feature_dims d USING (id) WHERE d.surface <> 'footfall'
        )
    ) AS pauses
), interval '0') AS pause
FROM (SELECT committed_at FROM footfall.commits ORDER BY position DESC LIMIT 1) AS newest
