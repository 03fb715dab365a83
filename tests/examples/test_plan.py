"""The plan: always the same, and it leaves nothing of the catalog or of the planted values out."""

from pathlib import Path

import pytest
import yaml

from footfall_examples import sahasrahbot
from footfall_examples.sahasrahbot import plan, planted
from footfall_examples.sahasrahbot.steps import Act, Chat, Press, Request, Slash, Text

VALUES = planted.load()
STEPS = plan.make(VALUES)
CATALOG = yaml.safe_load((Path(sahasrahbot.__path__[0]) / "events.yaml").read_text())
ERROR_TYPES = {
    "provider_unavailable", "provider_timeout", "invalid_preset", "permission_denied", "unexpected_error",
}  # fmt: skip
NOT_FROM_OUTSIDE = {"stack_trace", "control"}  # the plain program has these alone


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan.make(VALUES) == STEPS
    assert plan.make(VALUES, seed=1) != STEPS


def test_every_declared_event_and_action_is_driven() -> None:
    declared = {(name, a) for name, event in CATALOG["events"].items() for a in event["actions"]}
    assert {(use.event, use.action) for step in STEPS for use in step.uses} == declared


def test_every_way_of_using_the_product_is_driven() -> None:
    ways = {type(step.ask) for step in STEPS}
    ways |= {type(step.ask.does) for step in STEPS if isinstance(step.ask, Act)}
    assert ways == {Request, Act, Chat, Slash, Text, Press}
    assert {step.ask.guild_id for step in STEPS if isinstance(step.ask, Act)} == {
        int(one.value) for one in VALUES if one.kind == "guild_id"
    }
    assert {step.ask.room for step in STEPS if isinstance(step.ask, Chat)} == set(range(plan.ROOMS))


@pytest.mark.requirement("A4")
def test_every_error_type_occurs() -> None:
    assert {use.error_type for step in STEPS for use in step.uses} == ERROR_TYPES | {None}


def test_every_invoke_has_one_end() -> None:
    uses = [use for step in STEPS for use in step.uses] + plan.plain_uses()
    for name, event in CATALOG["events"].items():
        if "invoke" in event["actions"]:
            invoked = sum(use.event == name and use.action == "invoke" for use in uses)
            ended = sum(use.event == name and use.action in ("success", "failure") for use in uses)
            assert invoked == ended > 0


def test_every_planted_value_comes_in_with_a_request_or_a_command() -> None:
    inputs = "\n".join(repr(step.ask).replace("\\'", "'") for step in STEPS)
    missing = [
        one for one in VALUES if one.kind not in NOT_FROM_OUTSIDE and one.value not in inputs
    ]
    assert missing == []
