"""The collector as processes: put together, started, watched, reloaded, stopped."""
