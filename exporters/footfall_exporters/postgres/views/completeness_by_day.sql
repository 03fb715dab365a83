-- The same per event and day (UTC); a use shortly before midnight may be in the next day's tally, and a
-- late one is in the day on which it was. Senders that keep a tally are those that ever sent one
WITH stale AS MATERIALIZED ({stale}), counted AS ({counted}), senders AS MATERIALIZED (
    SELECT d.id, CASE WHEN d.surface = 'footfall' THEN d.emitted_event ELSE d.event END AS event,
           d.surface = 'footfall' AS tallies, dense_rank() OVER (ORDER BY {sender}) AS sender
    FROM footfall.feature_dims d
    WHERE d.surface <> 'footfall' OR (d.event = 'footfall.emitted' AND d.emitted_event IS NOT NULL)
), dims AS MATERIALIZED (
    SELECT id, event, sender, tallies, bool_or(tallies) OVER (PARTITION BY event, sender) AS keeps FROM senders
)
SELECT day, event, coalesce(sum(stored) FILTER (WHERE keeps), 0)::bigint AS stored,
       sum(emitted)::bigint AS emitted,
       (sum(stored) FILTER (WHERE keeps))::float8 / nullif(sum(emitted), 0) AS ratio,
       coalesce(sum(stored) FILTER (WHERE NOT keeps), 0)::bigint AS untallied,
       coalesce(sum(stored - emitted) FILTER (WHERE keeps AND stored > emitted), 0)::bigint AS surplus
FROM (
    SELECT c.day, d.event, d.sender, d.keeps,
           coalesce(sum(c.count) FILTER (WHERE NOT d.tallies), 0) AS stored,
           coalesce(sum(c.count) FILTER (WHERE d.tallies), 0) AS emitted
    FROM counted c JOIN dims d ON d.id = c.dim_id GROUP BY 1, 2, 3, 4
) AS tallied GROUP BY day, event
