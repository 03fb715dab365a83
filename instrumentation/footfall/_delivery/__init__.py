"""The way out: what waits, who sends it, where to, and what is said when it cannot be."""
