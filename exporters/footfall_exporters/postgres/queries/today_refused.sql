-- Which requests were refused since a midnight (UTC), and whose were they?
SELECT reason, signal, key, service, sum(requests)::bigint AS number
FROM footfall.refused_daily
WHERE day >= (%(midnight)s AT TIME ZONE 'UTC')::date
GROUP BY 1, 2, 3, 4
