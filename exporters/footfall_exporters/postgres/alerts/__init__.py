"""Alerts: what is so just now that somebody should know of, told once (docs/alerts.md, ADR 40)."""
