"""Products that use Footfall from outside."""
