from pathlib import Path

from footfall._variables import VARIABLES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_setting_of_the_sdk_is_documented():
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    missing = [name for name in VARIABLES if f"`{name}`" not in text]
    assert not missing
