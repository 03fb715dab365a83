"""`configure()`: everything that a program says about its telemetry, in one call."""

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

from footfall._guard import tolerant
from footfall._settings import Exporters, Options, Paths

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._recording.outcome import Errors
    from footfall_processors.catalog import Catalog


def _misfit(client: "Client", text: str) -> None:
    client._lifecycle.misfit(text)


@tolerant(_misfit)
def configure(  # noqa: D417  # a method of `Client`
    self: "Client",
    catalog: "Catalog | Paths | None" = None,
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | str | None = None,
    protocol: str | None = None,
    certificate: str | PathLike[str] | None = None,
    client_certificate: str | PathLike[str] | None = None,
    client_key: str | PathLike[str] | None = None,
    timeout: float | None = None,
    compression: str | None = None,
    enabled: bool | None = None,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    sample_rate: float | None = None,
    errors: "Errors | None" = None,
    exporters: Exporters | None = None,
    consent: bool = False,
    exit_hooks: bool | None = None,
) -> None:
    """Turns telemetry on, if it is enabled; call it once, when the program starts.

    It never raises. When anything is wrong, one warning on the logger `footfall` lists all of
    it and telemetry stays off. Called again it flushes and replaces what was configured before.
    To an endpoint that is given here or in FOOTFALL_ENDPOINT nothing is sent that the host's
    OTEL_EXPORTER_OTLP_* variables say: they are for its own telemetry.

    Args:
        catalog: `events.yaml`, or several such files, or a loaded catalog (TELEMETRY_CATALOG).
        endpoint: The collector's URL (FOOTFALL_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT).
        headers: What goes with each request, such as a key: `{"authorization": "Bearer ..."}`
            (FOOTFALL_HEADERS).
        protocol: `grpc`, the default, or `http/protobuf` (FOOTFALL_PROTOCOL).
        certificate: Path of the certificates (PEM) that the collector's is signed by; the system's
            when not given (FOOTFALL_CERTIFICATE).
        client_certificate: Path of the certificate (PEM) to show (FOOTFALL_CLIENT_CERTIFICATE).
        client_key: Path of its key (PEM; FOOTFALL_CLIENT_KEY).
        timeout: Seconds that one export may take, retries included; 10 (FOOTFALL_TIMEOUT).
        compression: `gzip`, or `none`, the default (FOOTFALL_COMPRESSION).
        enabled: Whether to send anything. TELEMETRY_ENABLED=false wins over True.
        service_name: OTEL_SERVICE_NAME; the catalog's product when neither is given.
        service_version: `service.version` in OTEL_RESOURCE_ATTRIBUTES.
        environment: `deployment.environment.name` in OTEL_RESOURCE_ATTRIBUTES.
        sample_rate: Share of observations sent as spans, [0, 1] (TELEMETRY_SAMPLE_RATE).
        errors: The application's exception classes and their error types.
        exporters: What sends, instead of OTLP; for tests.
        consent: For programs on their users' machines: what the user says in `footfall.consent`
            turns telemetry on and off; until they agree nothing is collected or made.
        exit_hooks: False leaves signals, `os._exit()` and `os.exec*()` alone (FOOTFALL_EXIT_HOOKS).

    Example:
        >>> import footfall
        >>> class PresetError(Exception): ...
        >>> footfall.configure(
        ...     catalog="events.yaml",
        ...     endpoint="http://localhost:4317",
        ...     errors={PresetError: "invalid_preset"},
        ... )
    """
    destination = {
        "endpoint": endpoint, "headers": headers, "protocol": protocol,
        "certificate": certificate, "client_certificate": client_certificate,
        "client_key": client_key, "timeout": timeout, "compression": compression,
    }  # fmt: skip
    options = Options(
        catalog, destination, enabled, sample_rate, consent, errors, exporters,
        (service_name, service_version, environment), exit_hooks,
    )  # fmt: skip
    self._lifecycle.configure(options)
