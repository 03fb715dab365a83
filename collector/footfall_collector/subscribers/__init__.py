"""Other backends, which follow what is stored."""
