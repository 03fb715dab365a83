-- What owners said of each prompt and version in the range. Days with fewer than five ratings are left out: they are for the operator alone. Not filtered.
SELECT prompt AS "Prompt", coalesce(version, '(none)') AS "Version", sum(ratings)::bigint AS "Ratings",
       sum(average * ratings) / sum(ratings) AS "Average", sum(stars_1)::bigint AS "1", sum(stars_2)::bigint AS "2",
       sum(stars_3)::bigint AS "3", sum(stars_4)::bigint AS "4", sum(stars_5)::bigint AS "5"
FROM reporting.ratings WHERE {days} AND ratings IS NOT NULL
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
