"""The bot's cogs (A8). None of them knows of telemetry: the catalog names their commands."""
