"""Where batches go: the store, the spool, the subscribers."""
