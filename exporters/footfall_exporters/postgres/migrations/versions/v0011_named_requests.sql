-- A keyed hash of the content, where the digest is made of a name that the sender chose (Idempotency-Key).
ALTER TABLE footfall.ingest_batches ADD COLUMN content uuid;
