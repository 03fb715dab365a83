"""The dashboards, a module each: which panels there are, in which order."""
