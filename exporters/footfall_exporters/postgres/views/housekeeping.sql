-- The tasks that keep the store in shape: their last run and their next one, by Postgres' clock
SELECT task, extract(epoch FROM every)::bigint AS every_s, last_run, last_success,
       duration_ms, next_run, outcome, outcome LIKE 'failed%' AS failing,
       next_run < clock_timestamp() - interval '5 minutes' AS overdue
FROM footfall.housekeeping
