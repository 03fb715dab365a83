-- How long ago the last commit was of what senders sent. "-": none within what is kept.
SELECT extract(epoch FROM clock_timestamp() - committed_at)::float8 AS "Last commit" FROM reporting.freshness
