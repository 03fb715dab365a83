"""From settings to a working client, or to everything that is wrong with them at once."""

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.version import __version__ as SDK_VERSION

from footfall._counters import Counters
from footfall._delivery import Delivery
from footfall._hints import DEVELOPMENT
from footfall._log import Warnings
from footfall._outcome import Errors
from footfall._plan import Plan
from footfall._recorder import Recorder
from footfall._settings import ConfigurationError, Exporters, Settings
from footfall._sources import load
from footfall_processors import names
from footfall_processors.catalog import DROPPED, EMITTED, Catalog
from footfall_processors.document import nearest
from footfall_processors.errors import ERROR_TYPES
from footfall_processors.policy import Policy

if TYPE_CHECKING:
    from footfall._gate import Gate

_VARIABLE: Final = {
    names.SERVICE_NAME: "service_name (OTEL_SERVICE_NAME)",
    names.SERVICE_VERSION: "service_version (service.version in OTEL_RESOURCE_ATTRIBUTES)",
    names.ENVIRONMENT: "environment (deployment.environment.name in OTEL_RESOURCE_ATTRIBUTES)",
}


def start(
    settings: Settings,
    service: tuple[str | None, str | None, str | None],
    errors: Errors | None,
    exporters: Exporters | None,
    warnings: Warnings,
    developing: bool = False,
    gate: "Gate | None" = None,
) -> tuple[Recorder, Delivery]:
    """Makes everything that a client needs while telemetry is on.

    Args:
        settings: With a mode that is not `off`.
        service: Name, version and environment, None where `configure()` was not told.
        errors: Exception classes and their error types.
        exporters: What sends; None makes OTLP exporters.
        warnings: Where warnings go.
        developing: Whether mistakes in calls are told, in whatever environment.
        gate: What looks at the user's answer before each export, in a program that asks.

    Raises:
        ConfigurationError: the catalog, the service, the errors or the exporters are wrong.
    """
    catalog = load(settings.catalog)
    resource, mistakes = _resource(catalog, service)
    mistakes += _check_errors(catalog, errors or {})
    if mistakes:
        raise ConfigurationError(mistakes)
    plans = {
        name: Plan(name, event, catalog, settings.sample_rate, settings.salt)
        for name, event in catalog.events.items()
        if name not in (EMITTED, DROPPED)
    }
    counters = Counters(plans, settings.queue, warnings)
    ways_out = exporters or (_local(catalog) if settings.mode == "local" else _otlp(settings))
    if gate is not None:
        again = partial(_otlp, settings) if not exporters and settings.mode == "on" else None
        ways_out = gate.exporters(ways_out, again)
    delivery = Delivery(settings, counters, resource, ways_out)
    environment = str(resource.attributes.get(names.ENVIRONMENT, ""))
    recorder = Recorder(
        catalog,
        plans,
        counters,
        errors or {},
        resource,
        delivery.queue,
        developing=developing or environment.lower() in DEVELOPMENT,
    )
    # A test has one application of the product's; the rules for the others are no mistakes of it.
    recorder.is_telling = recorder.is_telling and not developing
    return recorder, delivery


def _resource(catalog: Catalog, given: Sequence[str | None]) -> tuple[Resource, list[str]]:
    """What is said about the service (three fields and a random instance), and what is wrong with it."""
    found = OTELResourceDetector().detect().attributes
    default = {names.SERVICE_NAME: catalog.products[0]}
    named = {
        name: value or found.get(name) or default.get(name)
        for name, value in zip(_VARIABLE, given, strict=True)
    }
    wanted: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    service, _ = Policy(catalog).service(wanted)
    kept = dict(zip(_VARIABLE, service[: len(_VARIABLE)], strict=True))
    mistakes = [
        f"{_VARIABLE[name]} must be letters, digits and . _ - (a name begins with a letter; at most"
        " 63 characters, a version 32)"
        for name in wanted
        if kept[name] is None
    ]
    about = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": SDK_VERSION,
        names.DISTRO: names.OWN_SDK,
        names.SERVICE_INSTANCE: str(uuid.uuid4()),
    }
    return Resource(about | {n: v for n, v in kept.items() if v is not None}), mistakes


def _check_errors(catalog: Catalog, errors: Mapping[Any, Any]) -> list[str]:
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


def _local(catalog: Catalog) -> Exporters:
    from footfall import _local, _state

    return _local.exporters(_state.store_path(catalog.products[0]))


def _otlp(settings: Settings) -> Exporters:
    from footfall import _otlp

    return _otlp.exporters(settings)
