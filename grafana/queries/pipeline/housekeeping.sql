-- The tasks that keep the store in shape: docs/housekeeping.md says what each does.
SELECT task AS "Task", last_run AS "Last run", outcome AS "Outcome", duration_ms AS "Took", next_run AS "Next run",
       failing AS "Failing", overdue AS "Overdue"
FROM reporting.housekeeping ORDER BY failing OR overdue DESC, task
