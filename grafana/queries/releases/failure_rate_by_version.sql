-- Of what ended (success, failure), the share that did not end well, of each version. Of few ends it means little: the page of the collector says what is beyond chance.
SELECT {time}, {version} AS metric,
       (coalesce(sum(count) FILTER (WHERE {failed}), 0) / sum(count))::float8 AS value
FROM {series} WHERE {selected} AND {ended}
GROUP BY 1, 2 ORDER BY 1, 2
