-- Why the groups of a period cannot be told apart; NULL: they can.
SELECT CASE
    WHEN footfall.salt_period(%(kind)s, %(start)s) <> footfall.salt_period(%(kind)s, %(end)s::date - 1)
        THEN 'salt_period'
    WHEN (
        SELECT count(*) FILTER (WHERE made_at > s.midnight) + count(DISTINCT made_at <= s.midnight)
               FILTER (WHERE made_at <= s.midnight)
        FROM footfall.salt_log, (SELECT %(start)s::date::timestamp AT TIME ZONE 'UTC' AS midnight) AS s
        WHERE kind = %(kind)s AND period = footfall.salt_period(%(kind)s, %(start)s)
    ) > 1 THEN 'salt_lost'
    WHEN (
        SELECT hash_changed_at > %(start)s::date::timestamp AT TIME ZONE 'UTC'
        FROM footfall.catalog_columns WHERE attribute = %(attribute)s
    ) THEN 'hash_changed'
    WHEN EXISTS (
        SELECT FROM (SELECT day FROM footfall.dropped_days UNION ALL SELECT day FROM footfall.thinned) AS gone
        WHERE day >= %(start)s AND day < %(end)s
    ) THEN 'dropped'
END
