"""Sessions: when each began, was heard of last, and ended (ADR 31).

a route of the HTTP API ── signs.py ─────┐
├─ footfall.sessions ── reporting.sessions, concurrent, time_open
stored observations ── following.py ─────┘        └─ forgetting.py: what days come to stays
"""
