-- Days that are over, whose observations are there and whose groups are not counted, or (`depth`) not by how many
-- features they used; the newest first.
-- Names are looked at before it is known whose they are, if the planner likes: others have no day.
SELECT CASE WHEN c.start IS NULL THEN 'day' ELSE 'depth' END, p.day FROM (
    SELECT CASE WHEN c.relname ~ '_[0-9]{8}$' THEN to_date(right(c.relname, 8), 'YYYYMMDD') END AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'footfall.feature_events'::regclass AND NOT i.inhdetachpending
) AS p LEFT JOIN footfall.groups_counted c ON c.span = 'day' AND c.start = p.day
WHERE p.day < %(until)s
AND NOT EXISTS (SELECT FROM footfall.groups_counted g WHERE g.span = 'depth' AND g.start = p.day)
AND NOT EXISTS (SELECT FROM footfall.dropped_days d WHERE d.day = p.day)
AND EXISTS (
    SELECT FROM footfall.feature_counts c
    WHERE c.hour >= p.day::timestamp AT TIME ZONE 'UTC' AND c.hour < (p.day + 1)::timestamp AT TIME ZONE 'UTC'
)
ORDER BY p.day DESC
