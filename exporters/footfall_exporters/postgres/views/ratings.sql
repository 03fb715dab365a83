-- What owners said of prompts, per day (UTC), prompt, version and source; numbers of fewer than five
-- ratings are for the operator alone
SELECT day, prompt, version, source, {ratings}
FROM footfall.ratings GROUP BY day, prompt, version, source
