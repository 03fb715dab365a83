"""Faults under load, and whether what was acknowledged is stored once."""
