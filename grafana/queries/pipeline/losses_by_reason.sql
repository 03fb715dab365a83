-- What was received and not stored, per day of receipt (UTC). Whole events: undeclared_event, undeclared_action, expired_event, out_of_window, loop, malformed, body, unsupported_metric, deprecated_encoding, counter_baseline, counter_reset, counter_limit, fraction, repeated_without_id, duplicate_span, unreadable_in_spool, and whole requests, refused_*; the rest are attributes of events that are stored. Of the store: a loss has no product.
SELECT {day}, reason AS metric, sum(count)::bigint AS value
FROM reporting.losses WHERE {days}
GROUP BY 1, 2 ORDER BY 1, 2
