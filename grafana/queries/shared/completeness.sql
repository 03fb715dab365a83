-- What is stored ÷ what the SDKs say they counted, of the days of the range. Two independent tallies: below 100 % something was lost on the way, or is still in flight; above, something was stored twice, or its tally is still in flight. Senders that keep no tally are left out on both sides. Filtered by product alone.
SELECT (sum(stored) / nullif(sum(emitted), 0))::float8 AS "Completeness"
FROM reporting.completeness_by_day WHERE {days} AND {of_product}
