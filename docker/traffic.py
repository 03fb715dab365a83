"""Made-up traffic for a stack that has no application yet: uses of whatever its catalog declares.

`docker compose --profile demo up` runs it in the collector's image. Two versions of one service are used by
a few hundred groups, more often by day than by night; some uses fail, and the newer version fails less.
"""

import json
import math
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

import footfall
from footfall_processors import Attribute, Catalog, Event, Type, load_catalog

VERSIONS = {"1.0": 0.08, "1.1": 0.03}
"""Each version with the share of its uses that fails."""
GROUPS = 300


def value(attribute: Attribute, drawn: random.Random) -> str | int | bool:
    """One that the catalog allows."""
    match attribute.type:
        case Type.ENUM:
            return drawn.choice(attribute.values)
        case Type.BOOL:
            return drawn.random() < 0.5
        case Type.STRING:
            return f"group {drawn.randrange(GROUPS)}"
        case Type.UUID:
            return f"{drawn.randrange(GROUPS):032x}"
        case _:
            low = attribute.min or 0
            high = low + 100 if attribute.max is None else attribute.max
            return drawn.randint(math.ceil(low), math.floor(high))


def ends(event: Event) -> bool:
    """Whether it is one of the product's, which may still be used, and whose use comes to an end."""
    return event.surface != "footfall" and event.expires is None and bool(endings(event))


def endings(event: Event) -> list[str]:
    """Its actions that are no beginning."""
    return [action for action in event.actions if action not in ("invoke", "start")]


def use(name: str, event: Event, catalog: Catalog, drawn: random.Random) -> tuple[str, str]:
    """Uses one feature; its version, and how it ended."""
    version = drawn.choice(list(VERSIONS))
    given: dict[str, Any] = {
        attribute: value(catalog.attributes[attribute], drawn)
        for attribute in event.attributes
        if attribute != "duration_ms"
    }
    fails = "failure" in event.actions and drawn.random() < VERSIONS[version]
    if "success" in event.actions:
        _measured(CLIENTS[version], name, given, fails, drawn)
        return version, "failure" if fails else "success"
    action = drawn.choice(endings(event))
    CLIENTS[version].event(name, action, **given)
    return version, action


def _measured(
    client: footfall.Client,
    name: str,
    given: dict[str, Any],
    fails: bool,
    drawn: random.Random,
) -> None:
    """A use that takes its time: most some milliseconds, a few a second."""
    with client.feature(name, **given) as one:
        time.sleep(min(drawn.lognormvariate(-5, 1.2), 1))
        if fails:
            one.fail("unexpected_error")


def pause(rate: float, drawn: random.Random) -> float:
    """Seconds until the next use: longer by night."""
    hour = time.time() % 86_400 / 3600
    return drawn.expovariate(rate * (0.6 - 0.4 * math.cos(hour / 24 * math.tau)))


CLIENTS = {version: footfall.Client() for version in VERSIONS}


@click.command()
@click.argument("catalog", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rate", default=5.0, show_default=True, help="Uses a second, by day.")
@click.option("--uses", type=int, help="End after so many.")
def main(catalog: Path, rate: float, uses: int | None) -> None:
    """Use what CATALOG declares, until it is stopped; print what was done."""
    declared, done = load_catalog(catalog), Counter[tuple[str, str, str]]()
    drawn = random.Random()  # noqa: S311  # no secret is drawn
    for version, client in CLIENTS.items():
        client.configure(catalog=declared, service_version=version, environment="production")
    names = [name for name, event in declared.events.items() if ends(event)]
    weights = [1 / (rank + 1) for rank in range(len(names))]
    while uses is None or done.total() < uses:
        (name,) = drawn.choices(names, weights)
        version, action = use(name, declared.events[name], declared, drawn)
        done[name, version, action] += 1
        time.sleep(0 if uses else pause(rate, drawn))
    for client in CLIENTS.values():
        client.shutdown()
    print(json.dumps([[*key, count] for key, count in sorted(done.items())]))


if __name__ == "__main__":
    main()
