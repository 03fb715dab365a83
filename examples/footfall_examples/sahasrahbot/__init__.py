"""A web API, a Discord bot and a racetime.gg bot, as one product."""
