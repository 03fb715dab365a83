"""Inputs that nobody should send."""
