"""Attacks, and an honest sender beside them."""
