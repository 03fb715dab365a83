"""The kinds of exporters there are: ours and other packages', by the entry points `footfall.exporters`.

An entry point's name is the kind, its object the configuration's class: a frozen `msgspec.Struct` that is a
`SubscriberConfig`.
"""

import importlib.metadata

import msgspec

GROUP = "footfall.exporters"


def kinds() -> list[str]:
    """The names of all kinds, sorted; `postgres`, the store, is not among them."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})


def config_class(kind: str) -> type[msgspec.Struct] | None:
    """The configuration's class of a kind; None for a kind that nobody offers.

    Raises:
        ImportError: the package that offers it needs another one.
    """
    for entry in importlib.metadata.entry_points(group=GROUP, name=kind):
        found: type[msgspec.Struct] = entry.load()
        return found
    return None
