-- When does the first certificate of each listener end, of collectors that were there in the last ten minutes?
SELECT listener, min(ends) AS ends FROM footfall.certificates
WHERE noted_at > %(now)s::timestamptz - interval '10 minutes'
GROUP BY listener
