"""The planted values: one of each kind that must never be stored, and no false alarms among them."""

from collections import Counter
from pathlib import Path

import pytest

from footfall_examples.sahasrahbot import planted

VALUES = planted.load()
PERSONAL = planted.personal(VALUES)

NEVER_STORED = {
    "user_id", "user_name", "discriminator", "oauth_code", "oauth_token", "session_cookie", "guild_id",
    "channel_id", "arguments", "ip_address", "user_agent", "stack_trace", "message", "request_body",
    "email",
}  # fmt: skip


@pytest.mark.requirement("A2")
def test_every_kind_that_is_never_stored_is_planted() -> None:
    assert {one.kind for one in PERSONAL} >= NEVER_STORED
    assert planted.controls(VALUES)


def test_no_value_is_part_of_another_so_a_hit_names_the_right_one() -> None:
    for one in VALUES:
        assert [other for other in VALUES if one.value in other.value] == [one]


def test_values_are_long_enough_that_chance_does_not_write_them() -> None:
    assert min(len(one.value.encode()) for one in VALUES) >= 10
    assert all(int(one.value) >= 2**31 for one in PERSONAL if one.value.isdecimal())


def test_guilds_are_snowflakes() -> None:
    guilds = planted.of_kind(VALUES, "guild_id")
    assert all(len(guild) == 18 and guild.isdecimal() for guild in guilds)
    assert Counter(guilds).most_common(1)[0][1] == 1


def test_a_kind_without_a_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "planted.txt"
    file.write_text("# comment\n\nuser_id 1234567890\nuser_name   \n")
    with pytest.raises(ValueError, match=r"planted\.txt:4: a kind without a value"):
        planted.load(file)
