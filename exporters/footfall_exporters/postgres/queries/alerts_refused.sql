-- Of each reason, how many requests were refused in the busiest hour of each day, counted back from now?
SELECT signal, reason, has_key, floor(extract(epoch FROM %(now)s::timestamptz - hour) / 86400)::integer AS days_ago,
       max(requests)::bigint AS busiest
FROM footfall.refused_hours
WHERE hour > %(now)s::timestamptz - %(days)s * interval '1 day' AND hour <= %(now)s AND reason <> ALL (%(but)s)
GROUP BY 1, 2, 3, 4
