"""The pytest plugin: two fixtures that capture what the application under test would send.

`strict_telemetry` fails the test when a call was made that the catalog does not allow, or when the
collector's policy would refuse something that was sent. The catalog is the one that the application names in
`footfall.configure()`; where nothing is configured, the pytest configuration names it:

    [tool.pytest.ini_options]
    footfall_catalog = ["events.yaml"]

pytest imports this module at every start, so it imports nothing else that takes time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from footfall.testing import Captured


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the setting that names the catalog."""
    parser.addini("footfall_catalog", "events.yaml of the application under test", type="paths")


@pytest.fixture
def captured_telemetry(pytestconfig: pytest.Config) -> "Iterator[Captured]":
    """What the application under test would send; see `footfall.testing.Captured`."""
    from footfall.testing import capture

    files = pytestconfig.getini("footfall_catalog")
    with capture(files or None) as captured:
        yield captured


@pytest.fixture
def strict_telemetry(captured_telemetry: "Captured") -> "Iterator[Captured]":
    """The same, failing the test at its end when anything was called that the catalog does not allow."""
    yield captured_telemetry
    mistakes = captured_telemetry.mistakes()
    if mistakes:
        lines = "\n  ".join(mistakes)
        pytest.fail(f"telemetry that the catalog does not allow:\n  {lines}", pytrace=False)
