"""What the built-in page costs in Chromium."""
