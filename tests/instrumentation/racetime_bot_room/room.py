"""A racetime.gg bot as its author wrote it, and what is received of its uses."""

from racetime_bot import RaceHandler, moderator_cmd, monitor_cmd

COMMAND, GENERATE = "racetime.room.command", "racetime.seed.generate"
ROOM = {"event": COMMAND, "feature.surface": "racetime", "feature.name": "room"}
SEED = {"event": GENERATE, "feature.surface": "racetime", "feature.name": "seed"}
OK = {"feature.action": "success", "feature.status": "ok"}


def failed(error, status="error"):
    return {"feature.action": "failure", "feature.status": status, "error.type": error}


def observed(client, received):
    assert client.flush()
    return received.observations()


def outcomes(client, received):
    """How every use ended: (event, status)."""
    return [(each["event"], each["feature.status"]) for each in observed(client, received)]


def assert_balanced(received, uses):
    """Every room command was counted at its start, and nothing was dropped."""
    assert received.count(COMMAND, feature_action="invoke") == uses
    assert received.count(COMMAND) == uses, "what ended travels as a span"
    assert received.dropped() == {}


class OutOfSeeds(Exception):
    pass


class Seeds(RaceHandler):
    """What a bot's author wrote."""

    async def ex_seed(self, args, message):
        """Rolls a seed."""
        await self.send_message(await self.generate_seed(*args))

    async def generate_seed(self, preset):
        if preset == "none":
            raise OutOfSeeds("no more for someone")
        return f"https://example.org/{preset}"

    async def ex_error(self, args, message):
        raise {"permission": PermissionError, "timeout": TimeoutError, "key": KeyError}[args[0]](
            args
        )

    @monitor_cmd
    async def ex_lock(self, args, message):
        await self.send_message("locked")

    @moderator_cmd
    async def ex_reset(self, args, message):
        await self.send_message("reset")


def seeds():
    """A class of its own for each test that instruments it."""
    return type("Seeds", (RaceHandler,), dict(vars(Seeds)))
