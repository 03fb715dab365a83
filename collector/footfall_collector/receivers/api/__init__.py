"""The HTTP API: events of clients that do not speak OTLP, under their own contracts (R-numbers B to D)."""
