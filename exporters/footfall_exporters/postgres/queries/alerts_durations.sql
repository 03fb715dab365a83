-- Of how many uses of an event in each of some hours was the duration known, and how many were in a later slot of the
-- histogram (ADR 34) than one that is named for the event?
SELECT u.event, footfall.latency_number(u.histogram) AS observations,
       footfall.latency_number(div(u.histogram, ('1e' || 12 * (s.slot + 1))::numeric)) AS slower
FROM (
    SELECT event, sum(histogram) AS histogram FROM reporting.durations_by_hour
    WHERE hour = ANY(%(hours)s) GROUP BY event, hour
) AS u JOIN unnest(%(events)s::text[], %(slots)s::integer[]) AS s (event, slot) USING (event)
