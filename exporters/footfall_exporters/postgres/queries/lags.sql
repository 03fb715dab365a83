-- How far is each subscriber behind what is stored, and what of it did its backend refuse for good?
SELECT s.name, k.position - s.position AS behind,
       coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT c.committed_at FROM footfall.commits c
           WHERE c.position > s.position ORDER BY c.position LIMIT 1
       )), 0)::float8 AS age,
       (SELECT count(*) FROM footfall.parked p WHERE p.name = s.name) AS parked
FROM footfall.subscribers s, footfall.commit_clock k
ORDER BY s.name
