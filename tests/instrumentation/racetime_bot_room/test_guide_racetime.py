"""The guide's program, as it stands in the document, in a room of a racetime.gg on loopback."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[3] / "docs/guides/racetime.md"
RUN = """
import runpy, sys, racetime_bot
racetime_bot.Bot.racetime_host, racetime_bot.Bot.racetime_secure = sys.argv[1], False
runpy.run_path("bot.py", run_name="__main__")
"""
"""What is different here: where racetime.gg is."""


def block(language):
    """The first code block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    return found[1]


async def test_the_program_of_the_guide_counts_commands_and_seeds(received, racetime, tmp_path):
    program = block("python")
    assert len(program.splitlines()) <= 20
    (tmp_path / "bot.py").write_text(program)
    (tmp_path / "events.yaml").write_text(block("yaml"))
    room = racetime.open()
    variables = {"TELEMETRY_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
    bot = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, racetime.host),
        cwd=tmp_path,
        env=os.environ | variables,
    )
    try:
        await asyncio.wait_for(room.entered.wait(), 30)
        for text in ("!seed open", "good luck!", "!lock", "!seed"):
            await room.say(text)
        assert await room.finish() == ["https://example.org/seeds/open"]
    finally:
        bot.send_signal(signal.SIGINT)
        await asyncio.wait_for(bot.wait(), 30)
    uses = [(o["event"], o["feature.action"]) for o in received.observations()]
    assert uses == [
        ("racetime.seed.generate", "success"),
        ("racetime.room.command", "success"),
        ("racetime.room.command", "failure"),
    ]
    for event, number in (("racetime.room.command", 2), ("racetime.seed.generate", 1)):
        assert received.count(event, feature_action="invoke") == number
    assert received.dropped() == {}
