-- How far the store is: one row
SELECT position,
       (SELECT committed_at FROM footfall.commits ORDER BY position DESC LIMIT 1) AS committed_at,
       (SELECT coalesce(sum(count), 0)::bigint FROM footfall.losses_daily WHERE reason = {erased})
           AS erased,
       (SELECT max(day) + 1 FROM (
           SELECT day FROM footfall.dropped_days UNION ALL SELECT day FROM footfall.thinned
       ) AS gone) AS observed_from
FROM footfall.commit_clock
