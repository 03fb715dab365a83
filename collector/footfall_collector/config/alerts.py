"""The section `alerts`: which rules are on, who is told, and when not (R-numbers C7 and A10)."""

import datetime as dt
from typing import Annotated, Final

import msgspec

from footfall_collector.config.digest import TargetName, check_targets
from footfall_exporters.postgres.alerts.rules import RULES, Thresholds
from footfall_exporters.postgres.alerts.state import ANY_RULE, Hysteresis, Silence
from footfall_processors.document import Document, nearest

Looks = Annotated[int, msgspec.Meta(ge=1, le=1440)]
_FOR_EVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


class SilenceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nobody is told of some alerts.

    Attributes:
        rule: Of which rule; `all`: of every one.
        product: Of which product; None: of every one.
        until: The day (UTC) on which people are told again; None: never.
    """

    rule: str
    product: str | None = None
    until: dt.date | None = None

    def silence(self) -> Silence:
        """The same, as the evaluator takes it."""
        until = _FOR_EVER
        if self.until is not None:
            until = dt.datetime.combine(self.until, dt.time(), dt.UTC)
        return Silence(self.rule, self.product or "", until)


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rules are looked at every minute, and who is told.

    Attributes:
        targets: By names of one's own, which are shown, URLs of apprise, which are secrets.
        off: Rules that are not looked at.
        thresholds: From where on a rule finds something.
        fire_after: How many looks in a row must find it before it fires.
        clear_after: How many in a row must not before it has cleared.
        silence: Of what nobody is told.
    """

    targets: dict[TargetName, str] = {}
    off: tuple[str, ...] = ()
    thresholds: Thresholds = Thresholds()
    fire_after: Looks = 3
    clear_after: Looks = 10
    silence: tuple[SilenceConfig, ...] = ()

    @property
    def hysteresis(self) -> Hysteresis:
        """How soon an alert fires and clears."""
        return Hysteresis(self.fire_after, self.clear_after)


def check(document: Document, config: AlertsConfig) -> None:
    """Adds what is wrong with it to the document's mistakes; a target's URL is never quoted."""
    check_targets(document, ("alerts", "targets"), config.targets)
    for place, name in enumerate(config.off):
        _check_rule(document, ("alerts", "off", place), name, list(RULES))
    for place, each in enumerate(config.silence):
        known = [*RULES, ANY_RULE]
        _check_rule(document, ("alerts", "silence", place, "rule"), each.rule, known)
    for name in Thresholds.__struct_fields__:
        if getattr(config.thresholds, name) <= 0:
            document.wrong(("alerts", "thresholds", name), "must be greater than 0")
    if config.thresholds.low_event_rate >= 1:
        right = "is a share of the average: less than 1"
        document.wrong(("alerts", "thresholds", "low_event_rate"), right)


def _check_rule(
    document: Document, path: tuple[str | int, ...], name: str, known: list[str]
) -> None:
    if name not in known:
        hint = nearest(name, known)
        document.wrong(path, f"is no rule{hint or '; there are ' + ', '.join(known)}")
