"""Who has a say in whether telemetry is on, and who wins. Light: every program imports it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from footfall import _values

Mode = Literal["off", "local", "on"]
"""`on` sends; `local` keeps events on this machine and sends nothing."""


@dataclass(frozen=True, slots=True)
class State:
    """What the user of a program said.

    Attributes:
        mode: What they agreed to; `off` when they said no, or nothing yet.
        decided: Whether they said anything.
        outdated: Whether the catalog allows more than they agreed to: telemetry is off until they agree
            again.
        since: The day of their decision (UTC).
    """

    mode: Mode = "off"
    decided: bool = False
    outdated: bool = False
    since: dt.date | None = None


def decide(environ: Mapping[str, str], enabled: bool | None, consent: State | None) -> Mode:
    """What telemetry may do; whoever says off wins.

    Args:
        environ: Of which OTEL_SDK_DISABLED, DO_NOT_TRACK (consoledonottrack.com) and
            TELEMETRY_ENABLED count; a value that cannot be understood means off.
        enabled: What the program says in its code.
        consent: What its user said; None in a program that does not ask.
    """
    said = {name: environ.get(name, "").strip().lower() for name in (*_KILL_SWITCHES, _SWITCH)}
    wanted = said[_SWITCH]
    forbidden = any(said[name] not in _NO for name in _KILL_SWITCHES)
    if forbidden or enabled is False or wanted not in (*_YES, "local", ""):
        return "off"
    if consent is None:
        mode: Mode = "on" if wanted or enabled else "off"
    else:
        mode = "off" if consent.outdated or not consent.decided else consent.mode
    return "local" if wanted == "local" and mode == "on" else mode


DEVELOPMENT: Final = frozenset({"dev", "development", "local", "test", "testing"})
"""Values of `deployment.environment.name` in which mistakes are told."""
_ENVIRONMENT: Final = "deployment.environment.name"
"""As in `footfall_processors.names`, which a program that is off does not import."""


def is_development(environ: Mapping[str, str], environment: object = None) -> bool:
    """Whether this is no production: only where somebody says so.

    Args:
        environ: The environment variables.
        environment: What the program calls its environment; None where only a variable may say it.
    """
    name = environment or _values.resource(environ).get(_ENVIRONMENT)
    return isinstance(name, str) and name.lower() in DEVELOPMENT


def is_forgotten(environ: Mapping[str, str], enabled: bool | None, environment: object) -> bool:
    """Whether telemetry is off in development because nobody has said anything.

    Args:
        environ: The environment variables.
        enabled: What the program says in its code.
        environment: What it calls its environment; None where only a variable may say it.
    """
    return (
        is_development(environ, environment)
        and enabled is None
        and not any(environ.get(switch, "").strip() for switch in (*_KILL_SWITCHES, _SWITCH))
    )


_KILL_SWITCHES = ("OTEL_SDK_DISABLED", "DO_NOT_TRACK")
_SWITCH = "TELEMETRY_ENABLED"
_YES = ("true", "1")
_NO = ("", "0", "false")
