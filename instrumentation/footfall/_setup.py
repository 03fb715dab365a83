"""From settings to a working client, or to everything that is wrong with them at once."""

import os
import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.version import __version__ as SDK_VERSION

from footfall._decision import DEVELOPMENT
from footfall._delivery.delivery import Delivery
from footfall._delivery.outage import probe
from footfall._log import Warnings
from footfall._recording.counters import Counters
from footfall._recording.plan import Plan
from footfall._recording.recorder import Recorder
from footfall._service import service as describe
from footfall._settings import ConfigurationError, Exporters, Settings, load
from footfall_processors import names
from footfall_processors.catalog import DROPPED, EMITTED, Catalog
from footfall_processors.document import nearest
from footfall_processors.error_types import ERROR_TYPES

if TYPE_CHECKING:
    from footfall._consent.gate import Gate


def start(
    settings: Settings, warnings: Warnings, gate: "Gate | None" = None, *, tell: bool = True
) -> tuple[Recorder, Delivery]:
    """Makes everything that a client needs while telemetry is on.

    Args:
        settings: With a mode that is not `off`.
        warnings: Where warnings go.
        gate: What looks at the user's answer before each export, in a program that asks.
        tell: Whether to say which settings are not used as they are.

    Raises:
        ConfigurationError: the catalog, the errors or the exporters are wrong.
    """
    options = settings.options
    errors = {} if options.errors is None else options.errors
    catalog = load(settings.catalog)
    if mistakes := _check_errors(catalog, errors):
        raise ConfigurationError(mistakes)
    about, notes = describe(catalog, options.service, os.environ)
    if tell and (notes := [*settings.notes, *notes]):
        lines = "".join(f"\n  {note}" for note in notes)
        warnings.warn(
            "settings", "footfall is on, but not all settings are used as they are:%s", lines
        )
    resource = _resource(about)
    plans = {
        name: Plan(name, event, catalog, settings.sample_rate, settings.salt)
        for name, event in catalog.events.items()
        if name not in (EMITTED, DROPPED)
    }
    counters = Counters(plans, settings.queue, warnings)
    delivery = Delivery(settings, counters, resource, _exporters(settings, catalog, gate))
    is_development = about.get(names.ENVIRONMENT, "").lower() in DEVELOPMENT
    if is_development and _sends_otlp(settings):
        probe(settings, delivery.outage)
    recorder = Recorder(
        catalog,
        plans,
        counters,
        errors,
        resource,
        delivery.queue,
        developing=options.captured or is_development,
    )
    # A test has one application of the product's; the rules for the others are no mistakes of it.
    recorder.is_telling = recorder.is_telling and not options.captured
    return recorder, delivery


def _resource(fields: Mapping[str, str]) -> Resource:
    """What is said about the service (three fields and a random instance)."""
    about = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": SDK_VERSION,
        names.DISTRO: names.OWN_SDK,
        names.SERVICE_INSTANCE: str(uuid.uuid4()),
    }
    return Resource(about | dict(fields))


def _check_errors(catalog: Catalog, errors: Any) -> list[str]:
    if not isinstance(errors, Mapping):
        return ["errors must be a mapping of exception classes to error types"]
    known = (*ERROR_TYPES, *catalog.error_types)
    mistakes = []
    for cls, name in errors.items():
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            mistakes.append("errors: every key must be an exception class")
        elif name not in known:
            mistakes.append(
                f'errors: {cls.__name__}: "{name}" is not an error type{nearest(str(name), known)}'
                f" (known: {', '.join(known)}; a catalog may declare more under `error_types`)"
            )
    return mistakes


def _sends_otlp(settings: Settings) -> bool:
    return settings.options.exporters is None and settings.mode == "on"


def _exporters(settings: Settings, catalog: Catalog, gate: "Gate | None") -> Exporters:
    """What sends, or keeps; behind the gate, where there is one."""
    otlp = partial(_otlp, settings)
    keeps = settings.mode == "local"
    made = settings.options.exporters or (_local(catalog) if keeps else otlp())
    if gate is None:
        return made
    return gate.exporters(made, otlp if _sends_otlp(settings) else None)


def _local(catalog: Catalog) -> Exporters:
    from footfall._consent import local, state

    return local.exporters(state.store_path(catalog.products[0]))


def _otlp(settings: Settings) -> Exporters:
    from footfall._delivery import otlp

    return otlp.exporters(settings)
