-- What was received and not stored, in the days of the range (UTC). undeclared_event and undeclared_attribute are the allowlist at work. Of the store: a loss has no product.
SELECT coalesce(sum(count), 0)::bigint AS "Losses" FROM reporting.losses WHERE {days}
