-- How far each backend is to which what is stored is passed on: one row for each subscriber there ever was
SELECT s.name AS backend, k.position - s.position AS behind,
       (SELECT c.committed_at FROM footfall.commits c
        WHERE c.position > s.position ORDER BY c.position LIMIT 1) AS waiting_since,
       (SELECT count(*) FROM footfall.parked p WHERE p.name = s.name) AS refused,
       s.updated_at AS moved_at
FROM footfall.subscribers s, footfall.commit_clock k
