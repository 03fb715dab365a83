-- What happened, as an operator has said with `footfall annotate`: to all products, or to those that are chosen.
SELECT at AS "time", text, concat_ws(',', 'note', product, version) AS tags
FROM reporting.annotations
WHERE kind = 'note' AND at BETWEEN $__timeFrom() AND $__timeTo()
    AND (product IS NULL OR {in_product}) AND (version IS NULL OR {annotated_version})
ORDER BY 1, 2
