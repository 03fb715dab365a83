"""The bot's cogs. None of them knows of telemetry: the catalog names their commands."""
