-- Requests of the days of the range that were not taken, whether they come again or not.
SELECT coalesce(sum(requests), 0)::bigint AS "Refused" FROM reporting.refused WHERE {days}
