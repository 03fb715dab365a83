"""Commands in race rooms, given to the real racetime-bot over a WebSocket, and what is received of them."""

import asyncio
import functools
from collections import Counter

import pytest
from racetime_bot import RaceHandler, moderator_cmd, monitor_cmd

import footfall
from footfall import Client
from footfall.racetime import instrument_racetime
from instrumentation.racetime_bot_room.room import (
    COMMAND,
    GENERATE,
    OK,
    ROOM,
    SEED,
    OutOfSeeds,
    Seeds,
    assert_balanced,
    failed,
    observed,
    outcomes,
    seeds,
)


async def test_a_command_and_the_seed_it_generates_are_measured(client, received, play, instrument):
    assert await play(instrument(seeds()), "!seed open") == ["https://example.org/open"]
    assert observed(client, received) == [SEED | OK, ROOM | OK]
    assert received.emitted() == {COMMAND: 2, GENERATE: 1}
    assert_balanced(received, 1)


async def test_a_use_takes_as_long_as_the_command(client, received, play, instrument):
    class Slow(RaceHandler):
        async def ex_wait(self, args, message):
            await asyncio.sleep(0.05)

    await play(instrument(Slow), "!wait")
    assert observed(client, received) == [ROOM | OK]
    (span,) = received.spans()
    assert 0.05e9 <= span.end_time_unix_nano - span.start_time_unix_nano < 5e9


async def test_failures_are_seen_although_racetime_bot_swallows_them(
    connect, received, play, caplog
):
    client = connect(received.endpoint, errors={OutOfSeeds: "out_of_seeds"})
    handler = instrument_racetime(seeds(), client=client)
    commands = ("!seed none", "!error permission", "!error timeout", "!error key", "!seed open")
    assert await play(handler, *commands) == ["https://example.org/open"]
    assert observed(client, received) == [
        SEED | failed("out_of_seeds"),
        ROOM | failed("out_of_seeds"),
        ROOM | failed("permission_denied", "denied"),
        ROOM | failed("timeout", "timeout"),
        ROOM | failed("unexpected_error"),
        SEED | OK,
        ROOM | OK,
    ]
    assert_balanced(received, 5)
    swallowed = [r.exc_info[0] for r in caplog.records if r.msg == "Command raised exception."]
    assert swallowed == [OutOfSeeds, PermissionError, TimeoutError, KeyError]


async def test_what_is_no_command_sends_nothing(client, received, play, instrument):
    class Chatty(RaceHandler):
        ex_ = None
        ex_note = "not callable"

        async def begin(self):
            await self.helper()

        async def helper(self): ...

        async def race_data(self, data):
            await super().race_data(data)

        @property
        def ex_property(self):
            return 7

    said = await play(
        instrument(Chatty),
        "good luck!",
        "seed open",
        "!nothing",
        "!helper",
        "!ex_helper",
        {"text": "!helper", "is_bot": True},
        {"text": "!helper", "is_system": True},
        "!note",
        "!property",
        "!",
    )
    assert said == []
    assert observed(client, received) == []
    assert received.bytes == b""


async def test_undeclared_commands_send_nothing_and_are_no_loss(
    catalog, connect, received, play, instrument
):
    text = catalog.read_text().replace('"*"', "lock").replace("generate_seed()", "other()")
    catalog.write_text(text)
    client = connect(received.endpoint)
    handler = instrument_racetime(seeds(), client=client)
    await play(handler, "!seed open", "!error key", {"text": "!lock", "is_monitor": True})
    assert observed(client, received) == [ROOM | OK]
    assert_balanced(received, 1)


async def test_rules_choose_event_and_action_by_the_commands_name(catalog, connect, received, play):
    catalog.write_text("""
        product: racebot
        events:
          bot.room: {surface: racetime, feature: room, match: [{racetime: "*"}]}
          bot.error: {surface: racetime, feature: error, match: [{racetime: "err*"}]}
          bot.lock:
            surface: racetime
            feature: lock
            actions: [locked, failure]
            match: [{racetime: lock, action: locked}]
    """)
    client = connect(received.endpoint)
    handler = instrument_racetime(seeds(), client=client)
    lock = {"text": "!lock", "is_monitor": True}
    await play(handler, "!seed open", "!error key", lock, "!lock")
    found = [
        (each["event"], each["feature.action"], each["feature.status"])
        for each in observed(client, received)
    ]
    assert found == [
        ("bot.room", "success", "ok"),
        ("bot.error", "failure", "error"),
        ("bot.lock", "locked", "ok"),
        ("bot.lock", "failure", "denied"),
    ]
    assert received.count("bot.lock") == 0, "an action of its own has no invoke"
    assert received.dropped() == {}


@pytest.mark.parametrize(
    "rule", ["begin()", "send_message()", "_roll()", "*()", "generate_seed", "generate_seed[]"]
)
async def test_racetime_bots_own_and_private_methods_are_never_measured(
    catalog, connect, received, play, rule
):
    catalog.write_text(catalog.read_text().replace("generate_seed()", f'"{rule}"'))
    client = connect(received.endpoint)

    class Handler(seeds()):
        async def begin(self):
            await self._roll()

        async def _roll(self):
            await self.send_message("hello")

    instrument_racetime(Handler, client=client)
    assert len(await play(Handler, "!seed open")) == 2
    assert [event for event, _ in outcomes(client, received)] == [COMMAND]


async def test_racetime_bots_refusals_are_denied(client, received, play, instrument):
    def logged(function):
        @functools.wraps(function)
        async def call(*args):
            return await function(*args)

        return call

    class Handler(seeds()):
        ex_closed = logged(monitor_cmd(moderator_cmd(Seeds.ex_error)))

    may = {"is_monitor": True, "user": {"can_moderate": True}}
    said = await play(
        instrument(Handler),
        "!lock",
        {"text": "!lock", "is_monitor": True},
        "!reset",
        {"text": "!reset", "user": {"can_moderate": True}},
        {"text": "!closed key", "is_monitor": True},
        {"text": "!closed key", **may},
    )
    assert said == [
        "Sorry someone, only race monitors can do that.",
        "locked",
        "Sorry someone, only moderators can do that.",
        "reset",
        "Sorry someone, only moderators can do that.",
    ]
    denied = failed("permission_denied", "denied")
    expected = [denied, OK, denied, OK, denied, failed("unexpected_error")]
    assert observed(client, received) == [ROOM | each for each in expected]
    assert_balanced(received, 6)


async def test_a_command_that_calls_another_or_super_counts_once(
    client, received, play, instrument
):
    class Mixin:
        async def ex_mixed(self, args, message): ...

    base = instrument(seeds())

    class Handler(Mixin, base):
        async def ex_seed(self, args, message):
            await super().ex_seed(args, message)

        async def generate_seed(self, preset):
            return await super().generate_seed(preset) + "?again"

        async def ex_both(self, args, message):
            await asyncio.gather(self.ex_seed(args, message), self.ex_mixed(args, message))

        ex_alias = ex_seed

    class Last(Handler):
        async def ex_alias(self, args, message):
            await super().ex_alias(args, message)
            await self.ex_error(["key"], message)

    said = await play(Last, "!seed a", "!both b", "!alias c", "!mixed")
    assert said == [f"https://example.org/{preset}?again" for preset in "abc"]
    assert Counter(outcomes(client, received)) == {
        (GENERATE, "ok"): 3,
        (COMMAND, "ok"): 3,
        (COMMAND, "error"): 1,
    }
    assert_balanced(received, 4)


async def test_commands_of_every_shape_are_measured(client, received, play, instrument):
    def counted(function):
        def call(self, args, message):
            self.state["calls"] = self.state.get("calls", 0) + 1
            return function(self, args, message)

        return call

    class Handler(RaceHandler):
        @counted
        async def ex_decorated(self, args, message):
            await asyncio.sleep(0.02)
            await self.send_message(str(self.state["calls"]))

        @counted
        async def ex_failing(self, args, message):
            await asyncio.sleep(0)
            raise PermissionError

        def ex_sync(self, args, message):
            return asyncio.sleep(0.02)

        def ex_raising(self, args, message):
            raise TimeoutError

        async def _say(self, word, args, message):
            await self.send_message(word)

        ex_partial = functools.partialmethod(_say, "partial")

        @staticmethod
        async def ex_static(args, message): ...

        @classmethod
        async def ex_class(cls, args, message): ...

    names = ("decorated", "failing", "sync", "raising", "partial", "static", "class")
    assert await play(instrument(Handler), *(f"!{name}" for name in names)) == ["1", "partial"]
    statuses = [status for _, status in outcomes(client, received)]
    assert statuses == ["ok", "denied", "ok", "timeout", "ok", "ok", "ok"]
    lengths = [s.end_time_unix_nano - s.start_time_unix_nano for s in received.spans()]
    assert lengths[0] >= 0.02e9
    assert lengths[2] >= 0.02e9
    assert_balanced(received, 7)


async def test_functions_that_call_one_another_count_once(client, received, play, instrument):
    class Handler(RaceHandler):
        def generate_seed(self, preset):
            return self.generate_seed("open") if preset == "again" else preset

        def ex_seed(self, args, message):
            return self._seed(args, message)

        async def _seed(self, args, message):
            await self.ex_say([self.generate_seed(*args)], message)

        def ex_say(self, args, message):
            return self.send_message(args[0])

        def ex_now(self, args, message):
            return self.ex_say(["now"], message)

    assert await play(instrument(Handler), "!seed again", "!now", "!say it") == [
        "open",
        "now",
        "it",
    ]
    assert outcomes(client, received) == [(GENERATE, "ok"), *[(COMMAND, "ok")] * 3]
    assert_balanced(received, 3)


async def test_seeds_of_methods_that_do_not_wait_are_measured(client, received, play, instrument):
    class Handler(RaceHandler):
        def generate_seed(self, preset):
            return {"open": 7}[preset]

        async def ex_seed(self, args, message):
            await self.send_message(str(self.generate_seed(args[0])))

    assert await play(instrument(Handler), "!seed open", "!seed none") == ["7"]
    bad = failed("unexpected_error")
    assert observed(client, received) == [SEED | OK, ROOM | OK, SEED | bad, ROOM | bad]


@pytest.mark.parametrize("order", ["bbs", "bs", "sb", "ssb"])
async def test_instrumenting_twice_changes_nothing(client, received, play, instrument, order):
    base = seeds()
    sub = type("Sub", (base,), {})
    for each in order:
        cls = {"b": base, "s": sub}[each]
        before = cls.__getattribute__
        assert instrument(cls) is cls
        assert (cls.__getattribute__ is before) == (before is not RaceHandler.__getattribute__)
    await play(sub, "!seed open")
    assert outcomes(client, received) == [(GENERATE, "ok"), (COMMAND, "ok")]
    assert_balanced(received, 1)


async def test_classes_that_are_not_instrumented_stay_unmeasured(
    client, received, play, instrument
):
    base = seeds()
    instrument(type("Sub", (base,), {}))
    await play(base, "!seed open")
    assert observed(client, received) == []


async def test_what_racetime_bot_itself_handles_can_be_measured_at_its_root(
    client, received, play, instrument, monkeypatch
):
    monkeypatch.setattr(RaceHandler, "__getattribute__", RaceHandler.__getattribute__)
    instrument(RaceHandler)
    await play(Seeds, "!seed open")
    assert outcomes(client, received) == [(GENERATE, "ok"), (COMMAND, "ok")]


async def test_a_room_that_closes_ends_its_command_as_timed_out(
    client, received, racetime, enter, instrument
):
    class Handler(RaceHandler):
        async def ex_wait(self, args, message):
            await self.send_message("waiting")
            await asyncio.sleep(60)

    room = racetime.open()
    async with enter(instrument(Handler)) as bot:
        await room.say("!wait")
        assert await room.hear() == "waiting"
        (task,) = bot.handlers.values()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert observed(client, received) == [ROOM | failed("timeout", "timeout")]
    assert_balanced(received, 1)


async def test_races_side_by_side_are_counted_each(client, received, racetime, enter, instrument):
    class Handler(seeds()):
        meeting = asyncio.Barrier(8)

        async def ex_meet(self, args, message):
            async with asyncio.timeout(10):
                await self.meeting.wait()  # every room is inside the command
            await self.ex_seed(args, message)

    rooms = [racetime.open(f"room-{number}") for number in range(8)]
    async with enter(instrument(Handler)):
        for number, room in enumerate(rooms):
            await room.say(f"!meet {number}")
            await room.say("!seed none")
        said = await asyncio.gather(*(room.finish() for room in rooms))
    assert said == [[f"https://example.org/{number}"] for number in range(8)]
    assert Counter(outcomes(client, received)) == {
        (GENERATE, "ok"): 8,
        (COMMAND, "ok"): 8,
        (GENERATE, "error"): 8,
        (COMMAND, "error"): 8,
    }
    assert_balanced(received, 16)


async def test_a_room_that_a_command_opens_is_counted_by_itself(
    client, received, racetime, enter, instrument
):
    opened = asyncio.Event()

    class Handler(seeds()):
        async def ex_rematch(self, args, message):
            handler = self.bot.create_handler(racetime.open("rematch").race)
            opened.set()
            await asyncio.create_task(handler.handle())

    first = racetime.open()
    async with enter(instrument(Handler)) as bot:
        Handler.bot = bot
        await first.say("!rematch")
        await asyncio.wait_for(opened.wait(), 5)
        second = racetime.rooms["rematch"]
        await second.say("!seed open")
        await second.finish()
        await first.finish()
    assert outcomes(client, received) == [(GENERATE, "ok"), (COMMAND, "ok"), (COMMAND, "ok")]
    assert_balanced(received, 2)


async def test_a_client_may_be_configured_after_the_class_was_instrumented(catalog, received, play):
    client = Client(strict=True)
    handler = instrument_racetime(seeds(), client=client)
    await play(handler, "!seed open")
    client.configure(catalog, received.endpoint, enabled=True)
    await play(handler, "!seed open")
    catalog.write_text(catalog.read_text().replace("generate_seed()", "other()"))
    client.configure(catalog, received.endpoint, enabled=True)
    await play(handler, "!seed open")
    client.shutdown()
    await play(handler, "!seed open")
    assert [each["event"] for each in received.observations()] == [GENERATE, COMMAND, COMMAND]


async def test_a_command_says_how_its_use_ended(client, received, play, instrument):
    class Saying(RaceHandler):
        async def ex_say(self, args, message):
            footfall.current().deny()
            await self.send_message("no")

    assert await play(instrument(Saying), "!say") == ["no"]
    assert observed(client, received) == [ROOM | failed("permission_denied", "denied")]


async def test_a_method_that_is_no_function_stays_as_it_is(client, received, play, instrument):
    class Caching(RaceHandler):
        @functools.lru_cache  # noqa: B019
        def generate_seed(self, preset):
            return preset

        async def ex_seed(self, args, message):
            self.generate_seed("open")
            self.generate_seed("open")
            await self.send_message(str(self.generate_seed.cache_info().hits))

    assert await play(instrument(Caching), "!seed") == ["1"]
    assert observed(client, received) == [ROOM | OK]


async def test_a_command_that_returns_a_task_lasts_until_it_is_done(
    client, received, play, instrument
):
    class Tasks(RaceHandler):
        def ex_task(self, args, message):
            return asyncio.create_task(self.later())

        async def later(self):
            await asyncio.sleep(0.05)
            raise TimeoutError

    await play(instrument(Tasks), "!task")
    assert observed(client, received) == [ROOM | failed("timeout", "timeout")]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano >= 0.045e9
