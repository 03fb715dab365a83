-- What was lost since yesterday? Requests that were refused are told of beside this.
SELECT signal, reason, sum(count)::bigint AS number
FROM reporting.losses
WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1
AND reason NOT IN (SELECT 'refused_' || reason FROM reporting.refused)
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
