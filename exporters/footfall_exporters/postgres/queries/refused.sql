-- Which requests were refused since yesterday, and whose were they?
SELECT reason, sum(requests)::bigint AS requests,
       array_remove(array_agg(DISTINCT coalesce('the key ' || key, service)), NULL) AS senders
FROM reporting.refused
WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1
GROUP BY 1
ORDER BY 2 DESC, 1
