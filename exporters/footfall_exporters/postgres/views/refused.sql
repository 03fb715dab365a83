-- Requests that were not taken, per day (UTC), and whose they were where that is known; what is answered so
-- that it comes again is no loss
SELECT day, signal, reason, nullif(key, '') AS key, nullif(service, '') AS service,
       reason IN ({come_again}) AS comes_again, requests
FROM footfall.refused_daily
