-- Per event, of the senders that keep a tally of it: occurrences that they counted (emitted) and that are
-- stored; their ratio, as it is; surplus: by how much more is stored of a sender than it counted.
-- untallied: what is stored of senders without a tally, which says nothing of completeness
SELECT event, coalesce(sum(stored) FILTER (WHERE emitted > 0), 0)::bigint AS stored,
       sum(emitted)::bigint AS emitted,
       (sum(stored) FILTER (WHERE emitted > 0))::float8 / nullif(sum(emitted), 0) AS ratio,
       coalesce(sum(stored) FILTER (WHERE emitted = 0), 0)::bigint AS untallied,
       coalesce(sum(stored - emitted) FILTER (WHERE emitted > 0 AND stored > emitted), 0)
           ::bigint AS surplus
FROM (
    WITH stale AS MATERIALIZED ({stale}), counted AS MATERIALIZED (
        SELECT dim_id, sum(count) AS count FROM ({counted}) AS days GROUP BY dim_id
    )
    SELECT event, sum(stored) AS stored, sum(emitted) AS emitted
    FROM (
        SELECT d.event, c.count AS stored, 0 AS emitted, {sender}
        FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
        WHERE d.surface <> 'footfall'
        UNION ALL
        SELECT d.emitted_event, 0, c.count, {sender}
        FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
        WHERE d.event = 'footfall.emitted' AND d.emitted_event IS NOT NULL
    ) AS both_tallies
    GROUP BY event, service, service_version, environment, relayed_from, telemetry_distro
) AS senders GROUP BY event
