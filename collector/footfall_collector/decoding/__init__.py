"""Requests as bytes → batches: what an operator declared is read, the rest is counted."""
