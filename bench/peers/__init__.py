"""What a span costs beside other receivers."""
