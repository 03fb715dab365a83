"""Uses as counts and finished spans: what a call becomes while telemetry is on."""
