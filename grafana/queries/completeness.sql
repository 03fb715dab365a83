-- What is stored ÷ what the SDKs say they counted. Two independent tallies: below 100 % something was lost on the way, or is still in flight; above, something was stored twice, or its tally is still in flight. Over everything that is kept, whatever the range and the filters; senders that keep no tally are left out on both sides.
SELECT (sum(stored) / nullif(sum(emitted), 0))::float8 AS "Completeness"
FROM reporting.completeness
