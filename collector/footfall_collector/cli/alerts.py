"""The commands `footfall alerts`: what fires, a message to try the way, and silence."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import click
import msgspec
from psycopg import Connection

from footfall_collector.cli.alert_list import print_rules, time_of
from footfall_collector.cli.options import (
    OneLine,
    Wrong,
    config_option,
    json_option,
    read_made_store,
)
from footfall_collector.cli.sending import say_targets, send_to
from footfall_collector.config.config import load_alerts
from footfall_collector.errors import failing_plainly
from footfall_exporters import notify, postgres
from footfall_exporters.postgres.alerts import keeping
from footfall_exporters.postgres.alerts.listing import Listed, listed, products
from footfall_exporters.postgres.alerts.message import sample
from footfall_exporters.postgres.alerts.rules import RULES
from footfall_exporters.postgres.alerts.state import ANY_RULE
from footfall_exporters.postgres.connecting import PURGING, Use
from footfall_exporters.postgres.reports.state import of_this_version
from footfall_processors.notice import FORMATS

_NOBODY = "nobody is named who could be told; set `alerts.targets` in the configuration"
_LENGTH = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = dt.timedelta(days=366)


class _Length(click.ParamType[dt.timedelta]):
    """How long: `30m`, `2h`, `3d`."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = _LENGTH.fullmatch(str(value))
        length = dt.timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else _LONGEST * 2
        if length > _LONGEST:
            raise Wrong(
                "--for takes a number of m, h or d, such as 2h, up to 366d; 0m ends a silence"
            )
        return length


@click.group("alerts")
def commands() -> None:
    """What is so just now that somebody should know of; a collector looks every minute."""


@commands.command("list", cls=OneLine)
@json_option
@config_option
def list_(as_json: bool, config: str | None) -> None:
    """List the rules, what they found, and since when."""
    now = dt.datetime.now(dt.UTC)
    with _store(config, postgres.READING) as connection:
        rules = listed(connection, now)
    if as_json:
        told = msgspec.json.encode({"rules": [_plain(rule) for rule in rules]})
        click.echo(msgspec.json.format(told).decode())
        return
    print_rules(rules)


@commands.command(cls=OneLine)
@click.argument("rule", metavar="[RULE]", type=click.Choice(list(RULES)), default="low_event_rate")
@click.option("--dry-run", is_flag=True, help="Say what would be sent where.")
@config_option
def test(rule: str, dry_run: bool, config: str | None) -> None:
    """Send all whom the configuration names a message, to see whether it comes."""
    with failing_plainly():
        to, url = load_alerts(config)
    if not to.targets:
        raise Wrong(_NOBODY)
    notice = sample(rule, dt.datetime.now(dt.UTC)).notice(url)
    targets = notify.targets(to.targets)
    if dry_run:
        say_targets(targets, notice)
        click.echo(f"nothing was sent\n\n{FORMATS['text'](notice)}")
    else:
        send_to(targets, notice)


@commands.command(cls=OneLine)
@click.argument("rule", metavar="RULE", type=click.Choice([*RULES, ANY_RULE]))
@click.option("--for", "length", metavar="LENGTH", required=True, type=_Length(),
              help="How long from now on: 30m, 2h, 3d; 0m ends it.")  # fmt: skip
@click.option("--product", metavar="NAME", help="Of this product alone.")
@config_option
def silence(rule: str, length: dt.timedelta, product: str | None, config: str | None) -> None:
    """Have nobody be told of a rule, or of all, for some time; what fires still is told then."""
    with _store(config, PURGING) as connection:
        known = products(connection)
        if product is not None and product not in known:
            raise Wrong(f"no catalog of this store has that product; there are {', '.join(known)}")
        until = keeping.silence(connection, rule, product or "", length)
    about = f"{rule}{f' of {product}' if product else ''}"
    if length:
        click.echo(f"nobody is told of {about} until {time_of(until)}")
    else:
        click.echo(f"people are told of {about} again")


@contextmanager
def _store(config: str | None, use: Use) -> Iterator[Connection]:
    store = read_made_store(config)
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        closing(postgres.connect_sync(dsn, use)) as connection,
        of_this_version(),
    ):
        yield connection


def _plain(rule: Listed) -> dict[str, Any]:
    alerts = [each._asdict() for each in rule.alerts]
    looked = {"looked_at" if k == "at" else k: v for k, v in rule.looked._asdict().items()}
    state = {"rule": rule.rule, "state": rule.state, "silenced_until": rule.silenced_until}
    return {**state, **looked, "alerts": alerts}
