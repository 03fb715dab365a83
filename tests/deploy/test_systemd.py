"""deploy/systemd: the unit that the guide explains, which test_guides_of_operators.py verifies and starts."""

import re

from support.installed import ROOT


def test_the_unit_is_the_one_of_the_guide() -> None:
    guide = (ROOT / "docs/guides/systemd.md").read_text()
    (unit,) = re.findall(r"(?s)```ini\n(.*?)```", guide)
    assert (ROOT / "deploy/systemd/footfall.service").read_text() == unit
    assert "deploy/systemd/footfall.service" in guide
