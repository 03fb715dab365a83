-- How good are the prompts, by those who used them? Stars by prompt and version; readers miss fewer than five of a day.
SELECT prompt, version, sum(ratings)::bigint AS ratings,
       round((sum(average * ratings) / sum(ratings))::numeric, 2)::float8 AS average,
       concat_ws(' ', sum(stars_1), sum(stars_2), sum(stars_3), sum(stars_4), sum(stars_5)) AS stars_1_to_5
FROM reporting.ratings
WHERE day >= (%(since)s AT TIME ZONE 'UTC')::date
AND day < %(until)s AT TIME ZONE 'UTC' AND ratings IS NOT NULL
GROUP BY prompt, version
ORDER BY ratings DESC, prompt, version
