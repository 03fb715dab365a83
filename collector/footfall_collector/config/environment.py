"""What a configuration takes from the environment: `${env:VAR}`, variables for keys, what is sent where."""

import os
import re
from collections.abc import Mapping
from typing import Any

from footfall_collector.signals import SIGNALS
from footfall_processors.document import Document, Keys, nearest

ENVIRONMENT = {
    "TELEMETRY_CATALOG": ("processors", "footfall", "catalog"),
    "TELEMETRY_HASH_SALT": ("processors", "footfall", "hash_salt"),
    "TELEMETRY_RETENTION_DAYS": ("exporters", "postgres", "retention_days"),
    "FOOTFALL_DSN": ("exporters", "postgres", "dsn"),
    "FOOTFALL_DEDUPLICATE": ("receivers", "otlp", "deduplicate"),
}
"""Environment variables and the keys they stand for where the file has none."""
DEVELOPMENT = "FOOTFALL_DEV"
"""Set by `footfall up --dev`, for its workers as well: the HTTP API is on, and believes developers."""
PSR = "FEATURES_PSR"
"""Whether ratings are taken, where there is an HTTP API; in development they are unless it is false."""
API = {
    PSR: ("psr", "enabled"),
    "TELEMETRY_RATE_LIMIT_USER": ("rate_limit", "user"),
    "TELEMETRY_RATE_LIMIT_ADDRESS": ("rate_limit", "address"),
}
"""As `ENVIRONMENT`, below `receivers.http_api`, where there is one."""
SINK = "TELEMETRY_SINK"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where the sink `otlp` sends, unless the file says it."""
SINKS = {"db": "postgres", "logs": "logs", "otlp": "otlp"}
"""What TELEMETRY_SINK may list, and the exporters meant."""
ANALYTICS = "TELEMETRY_ANALYTICS_ENABLED"
"""Whether anything is sent to analytics backends; it wins over the file, so that nobody need change that."""
ANALYTICS_KINDS = ("ga4", "posthog", "segment")
_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_REFERENCE = re.compile(r"\$\$|\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def expand(document: Document, value: Any, path: Keys, env: Mapping[str, str]) -> Any:
    """`value` with its references to environment variables replaced; empty text becomes null."""
    if isinstance(value, dict):
        return {k: expand(document, v, (*path, k), env) for k, v in value.items()}
    if isinstance(value, list):
        return [expand(document, v, (*path, i), env) for i, v in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            return "$"
        if name not in env and default is None:
            hint = f"; set it, or give a default: ${{env:{name}:-default}}"
            document.wrong(path, f"the environment variable {name} is not set{hint}")
        return env.get(name, default or "")

    return _REFERENCE.sub(replacement, value) or None


def fill(data: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """Puts environment variables where the file has no value; wrong shapes are left for the check.

    Returns:
        The paths that were filled, as mistakes show them, with their variables.
    """
    filled: dict[str, str] = {}
    for variable, path in ENVIRONMENT.items():
        if not environment.get(variable):
            continue
        section = data
        for key in path[:-1]:
            section = section.setdefault(key, {}) if isinstance(section, dict) else None
        if isinstance(section, dict) and section.get(path[-1]) is None:
            text = environment[variable]
            # As the SDK reads it: several files are joined as in PATH.
            section[path[-1]] = text.split(os.pathsep) if path[-1] == "catalog" else text
            filled[".".join(path)] = variable
    return filled


def fill_api(document: Document, environment: Mapping[str, str]) -> dict[str, str]:
    """Has the HTTP API be on in development, and ratings there or as FEATURES_PSR says; and its limits.

    Returns:
        As `fill`.
    """
    data = document.data
    said: dict[str, Any] = {name: environment[name] for name in API if environment.get(name)}
    if environment.get(DEVELOPMENT):
        said.setdefault(PSR, True)
    receivers = data.setdefault("receivers", {}) if said and isinstance(data, dict) else None
    if environment.get(DEVELOPMENT) and isinstance(receivers, dict):
        receivers.setdefault("http_api", {})
    api = receivers.get("http_api") if isinstance(receivers, dict) else None
    if not isinstance(api, dict):
        return {}
    filled: dict[str, str] = {}
    for variable, value in said.items():
        section, key = api.setdefault(API[variable][0], {}), API[variable][1]
        if isinstance(section, dict) and section.get(key) is None:
            section[key] = value
            path = f"receivers.http_api.{API[variable][0]}.{key}"
            filled[path] = DEVELOPMENT if value is True else variable
    return filled


def fill_sinks(document: Document, environment: Mapping[str, str]) -> None:
    """Puts TELEMETRY_SINK where the file has no pipelines; `db` is the store, without it none is used."""
    listed = [word.strip() for word in environment.get(SINK, "").split(",") if word.strip()]
    service = document.data.setdefault("service", {}) if isinstance(document.data, dict) else None
    if not listed or not isinstance(service, dict) or service.get("pipelines") is not None:
        return
    for word in listed:
        if word not in SINKS:
            right = (
                f"{SINK} lists what is no sink{nearest(word, SINKS)} (known: {', '.join(SINKS)})"
            )
            document.wrong(("service", "pipelines"), right)
            return
    exporters = [SINKS[word] for word in dict.fromkeys(listed)]
    section = document.data.setdefault("exporters", {})
    if "otlp" in exporters and isinstance(section, dict) and environment.get(ENDPOINT):
        otlp = section.setdefault("otlp", {})
        if isinstance(otlp, dict):
            otlp.setdefault("endpoint", environment[ENDPOINT])
    service["pipelines"] = {signal: {"exporters": exporters} for signal in SIGNALS}


def leave_out_analytics(document: Document, environment: Mapping[str, str]) -> dict[str, str]:
    """Takes analytics backends out of the pipelines, where TELEMETRY_ANALYTICS_ENABLED is false.

    Returns:
        As `fill`.
    """
    if not analytics_are_off(document, environment):
        return {}
    data = document.data
    for key in ("service", "pipelines"):
        data = data.get(key) if isinstance(data, dict) else None
    changed: dict[str, str] = {}
    for signal, pipeline in data.items() if isinstance(data, dict) else ():
        names = pipeline.get("exporters") if isinstance(pipeline, dict) else None
        kept = [n for n in names if not is_analytics(n)] if isinstance(names, list) else names
        if kept != names:
            pipeline["exporters"] = kept
            changed[f"service.pipelines.{signal}.exporters"] = ANALYTICS
    return changed


def analytics_are_off(document: Document, environment: Mapping[str, str]) -> bool:
    """Whether nothing may be sent to analytics backends; a mistake where that is not said as it must be."""
    said = environment.get(ANALYTICS, "").strip().lower()
    if said and said not in _ON + _OFF:
        document.wrong(("service", "pipelines"), f"{ANALYTICS} must be true or false")
    return said in _OFF


def is_analytics(exporter: object) -> bool:
    """Whether an exporter, by its id, sends to an analytics backend."""
    return isinstance(exporter, str) and exporter.partition("/")[0] in ANALYTICS_KINDS
