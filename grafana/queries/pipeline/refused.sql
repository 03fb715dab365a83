-- Requests that were not taken, and whose they were where that is known. Comes again: the sender was told to try again, so it is no loss if it does.
SELECT signal AS "Signal", reason AS "Reason", key AS "Key", service AS "Service", comes_again AS "Comes again",
       sum(requests)::bigint AS "Requests"
FROM reporting.refused WHERE {days}
GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4
