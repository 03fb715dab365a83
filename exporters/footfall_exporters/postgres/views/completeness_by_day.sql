-- The same per event and day (UTC); a use shortly before midnight may be in the next day's tally, and a
-- late one is in the day on which it was. Senders that keep a tally are those that ever sent one
WITH stale AS MATERIALIZED ({stale}), counted AS (
    SELECT day, dim_id, count FROM footfall.feature_counts_days
    WHERE day <> ALL (ARRAY(SELECT day FROM stale))
    UNION ALL
    SELECT d.day, h.dim_id, h.count FROM stale d CROSS JOIN LATERAL ({of_hours}) AS h
), tallied AS (
    SELECT DISTINCT emitted_event AS event, ROW({sender})::text AS sender
    FROM footfall.feature_dims d WHERE d.event = 'footfall.emitted' AND emitted_event IS NOT NULL
)
SELECT day, event, coalesce(sum(stored) FILTER (WHERE keeps), 0)::bigint AS stored,
       sum(emitted)::bigint AS emitted,
       (sum(stored) FILTER (WHERE keeps))::float8 / nullif(sum(emitted), 0) AS ratio,
       coalesce(sum(stored) FILTER (WHERE NOT keeps), 0)::bigint AS untallied,
       coalesce(sum(stored - emitted) FILTER (WHERE keeps AND stored > emitted), 0)::bigint AS surplus
FROM (
    SELECT s.day, s.event, t.event IS NOT NULL AS keeps, s.stored, s.emitted
    FROM (
        SELECT c.day, CASE WHEN d.surface = 'footfall' THEN d.emitted_event ELSE d.event END AS event,
               ROW({sender})::text AS sender,
               coalesce(sum(c.count) FILTER (WHERE d.surface <> 'footfall'), 0) AS stored,
               coalesce(sum(c.count) FILTER (WHERE d.surface = 'footfall'), 0) AS emitted
        FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
        WHERE d.surface <> 'footfall'
            OR (d.event = 'footfall.emitted' AND d.emitted_event IS NOT NULL)
        GROUP BY 1, 2, 3
    ) AS s LEFT JOIN tallied t USING (event, sender)
) AS senders GROUP BY day, event
