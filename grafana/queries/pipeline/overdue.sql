-- Tasks of housekeeping that failed when they last ran, or should have run more than five minutes ago.
SELECT count(*) FILTER (WHERE failing OR overdue) AS "Tasks" FROM reporting.housekeeping
