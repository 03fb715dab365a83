"""Who may send, how much, and over which channel."""
