"""Functions, generators and what ends later, measured."""
