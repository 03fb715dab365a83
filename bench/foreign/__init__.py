"""Software of others around Footfall."""
