-- What is stored ÷ what the SDKs say they counted. Two independent tallies: below 100 % something was lost on the way, or is still under way. Over everything that is kept, whatever the range and the filters; senders without the SDK keep no tally and are left out.
SELECT (sum(stored) / sum(emitted))::float8 AS "Completeness"
FROM reporting.completeness
WHERE emitted > 0
