-- Distinct groups of whole weeks (from Monday on) and months that begin in the range, and where there is no number why not: a hash that changes daily has none of a week (salt_period); fewer than five are not shown (few).
SELECT period AS "Period", day AS "From", concat_ws(' · ', product, attribute) AS "Of",
       groups AS "Groups", reason AS "Reason"
FROM reporting.groups
WHERE {days} AND period <> 'day' AND {of_scope}
ORDER BY day DESC, period, 3
