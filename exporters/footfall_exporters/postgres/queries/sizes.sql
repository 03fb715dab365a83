-- How large are the observations and everything else, in bytes, and of how many days are they?
SELECT coalesce(sum(pg_total_relation_size(oid)) FILTER (WHERE relispartition), 0)::bigint AS observations,
       coalesce(sum(pg_total_relation_size(oid)) FILTER (WHERE NOT relispartition), 0)::bigint AS others,
       count(*) FILTER (WHERE relispartition) AS days
FROM pg_class
WHERE relnamespace = 'footfall'::regnamespace AND relkind = 'r'
