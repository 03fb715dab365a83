-- How did each task of housekeeping end when it ran last, and how many seconds ago?
SELECT task, extract(epoch FROM clock_timestamp() - last_run)::float8 AS age, outcome, failing, overdue
FROM reporting.housekeeping
ORDER BY task
