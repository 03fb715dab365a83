"""Planted personal data, in every place that a race room can reach, and none of it sent."""

import asyncio
import logging

import pytest
from racetime_bot import RaceHandler, monitor_cmd

from footfall.racetime import instrument_racetime
from instrumentation.planted import ID, SECRET, assert_no_secret, secret

HOSTS_OWN = ("racebot", "websockets", "aiohttp", "asyncio")
"""Loggers of the bot and of what it stands on; racetime-bot writes down what is said."""


def written(caplog, ours):
    """The text of the log records that are, or are not, of the bot's own loggers."""
    records = [r for r in caplog.records if (r.name.split(".")[0] not in HOSTS_OWN) == ours]
    return "\n".join(map(logging.Formatter().format, records))


USER = {
    "id": str(ID),
    "full_name": secret("full"),
    "name": secret("name"),
    "discriminator": str(ID)[-4:],
    "url": f"/user/{secret('url')}",
    "avatar": f"/avatar/{secret('avatar')}",
    "pronouns": secret("pronouns"),
    "flair": secret("flair"),
    "twitch_name": secret("twitch"),
    "twitch_channel": f"https://twitch.tv/{secret('channel')}",
    secret("key"): secret("value"),
}
RACE = {
    "name": f"alttpr/{SECRET}-room",
    "slug": f"{SECRET}-room",
    "url": f"/alttpr/{secret('race')}",
    "goal": {"name": secret("goal"), "custom": True},
    "info": secret("info"),
    "info_bot": secret("bot"),
    "info_user": secret("user"),
    "opened_by": USER,
    "monitors": [USER],
    "entrants": [{"user": USER, "comment": secret("comment")}],
    "version": ID,
}


class Zyxsecret(Exception):
    def __init__(self) -> None:
        super().__init__(secret("message"), ID, USER)
        self.user = USER
        self.add_note(secret("note"))

    def __str__(self) -> str:
        return secret("str")

    def __repr__(self) -> str:
        return secret("repr")


class Handler(RaceHandler):
    __qualname__ = secret("class")
    __doc__ = secret("doc")

    async def begin(self):
        self.state[secret("state")] = self.nick = secret("instance")
        await self.set_bot_raceinfo(secret("info"))

    async def ex_zyxsecret(self, args, message):
        await self.send_message(secret("reply"), direct_to=str(ID))
        return secret("result")

    async def ex_seed(self, args, message):
        try:
            await self.generate_seed(*args, message["user"], race=self.data)
        except Zyxsecret as error:
            raise KeyError(secret("outer"), args) from error

    async def generate_seed(self, *words, **about):
        local_variable = secret("frame")
        if "fail" in words:
            raise Zyxsecret
        return local_variable

    @monitor_cmd
    async def ex_lock(self, args, message): ...

    async def ex_declared(self, args, message):
        raise Zyxsecret

    async def ex_wait(self, args, message):
        await self.send_message("waiting")
        await asyncio.sleep(60)


async def test_nothing_of_a_room_but_event_and_kind_of_error_leaves(
    connect, received, racetime, enter, caplog
):
    caplog.set_level(logging.DEBUG)
    client = connect(received.endpoint, errors={Zyxsecret: "out_of_seeds"})
    instrument_racetime(Handler, client=client)
    room = racetime.open(**RACE)
    async with enter(Handler) as bot:
        for text in (
            secret("chat"),
            f"!{SECRET} {secret('argument')} {ID}",
            f"!seed {secret('preset')} 198.51.100.7",
            f"!seed fail {secret('preset')}",
            f"!lock {secret('argument')}",
            f"!declared {secret('argument')}",
            f"!{secret('command')}",
            "!wait",
        ):
            about = {"id": str(ID), "message_plain": text, "bot": secret("bot")}
            await room.say(text, USER, **about)
        while (await room.actions.get())["data"].get("message") != "waiting":
            pass
        (task,) = bot.handlers.values()
        task.cancel(secret("cancelled"))
        with pytest.raises(asyncio.CancelledError):
            await task
    assert client.flush()
    outcomes = [(o["event"], o.get("error.type")) for o in received.observations()]
    assert outcomes == [
        ("racetime.room.command", None),
        ("racetime.seed.generate", None),
        ("racetime.room.command", None),
        ("racetime.seed.generate", "out_of_seeds"),
        ("racetime.room.command", "out_of_seeds"),  # the kind of its cause
        ("racetime.room.command", "permission_denied"),
        ("racetime.room.command", "out_of_seeds"),
        ("racetime.room.command", "timeout"),
    ]
    assert_no_secret(received, "out_of_seeds", "racetime.seed.generate")
    for leak in (b"198.51.100.7", b"Handler", b"wait", b"seed open", b"alttpr", b"example.org"):
        assert leak not in received.bytes
    allowed = {"event", "feature.surface", "feature.name", "feature.action", "feature.status"}
    assert {key for o in received.observations() for key in o} == allowed | {"error.type"}
    assert SECRET in written(caplog, ours=False), "the bot's own log does hold it"
    assert SECRET not in written(caplog, ours=True)
    assert str(ID) not in written(caplog, ours=True)


def test_the_search_finds_what_was_not_removed(received):
    received.traces.append(secret("control").encode())
    with pytest.raises(AssertionError):
        assert_no_secret(received)
    received.traces[:] = [ID.to_bytes(8, "big")]
    with pytest.raises(AssertionError):
        assert_no_secret(received)
