"""What a use costs its host."""
