-- Whoever reads histograms of durations can have them decoded.

CREATE FUNCTION reporting.duration_quantiles(histogram numeric, shares numeric[]) RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN footfall.latency_quantiles(histogram, shares);
COMMENT ON FUNCTION reporting.duration_quantiles IS
    'The durations (ms) of a histogram at ascending shares of it, such as {0.5, 0.95}, by nearest rank: at most 2.2 % off';
