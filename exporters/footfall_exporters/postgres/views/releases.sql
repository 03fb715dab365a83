-- The newest version of each service beside the one before, event by event, as `footfall report releases` compares them:
-- of all together, and in each environment; made every five minutes where that has a hundred rows or more, and else empty
SELECT service, former, version, event, ends_before, ends, failed_before, failed, difference, low, high, verdict,
       p95_before_ms, p95_ms, uses_per_group_before, uses_per_group, speed, made_at,
       nullif(environment, '') AS environment
FROM footfall.releases
