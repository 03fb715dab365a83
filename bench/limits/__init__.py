"""What a rate limit costs a request."""
