"""What `footfall doctor` asks the running collector: by what it works, what it took and what it refused.

It says so in its metrics (docs/metrics.md), at the operator's listener.
"""

import datetime as dt
import http.client
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from footfall_collector.config.config import Config
from footfall_collector.config.schema import OperatorConfig, TlsConfig
from footfall_collector.doctor import losses
from footfall_collector.doctor.checks import Check, count, ok, problem, span, warning
from footfall_collector.doctor.listeners import TIMEOUT, listeners, reachable
from footfall_collector.telemetry.instruments import Outcome, Reloaded
from footfall_processors import OperatorError
from footfall_processors.changes import fingerprint

KEY = "FOOTFALL_OPERATOR_KEY"
"""The environment variable with an operator's key, where the listener asks for one."""
MOST = 2**24
"""Bytes of an answer."""
_ANOTHER = "another program may listen there; look with `ss -ltnp`"
RELOAD = "have the collector read it again: `footfall reload`, or SIGHUP"


class Unasked(OperatorError):
    """The collector cannot be asked."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a collector says of itself, all workers together.

    Attributes:
        uptime: Seconds since it was started.
        taken: Requests that were acknowledged since.
        refused: Requests that were not, by reason.
        catalogs: What stands for the catalog in force, for each worker.
        read: When each thing was read last, seconds since the Unix epoch.
        failed: What could not be read again, so that the former is in force.
    """

    uptime: float
    taken: int
    refused: Mapping[str, int]
    catalogs: Sequence[int]
    read: Mapping[str, float]
    failed: Sequence[str]


def ask(operator: OperatorConfig) -> Running:
    """What the collector behind an operator's listener says.

    Raises:
        Unasked: it does not answer, or not without a key.
    """
    status, body = _get(operator)
    if status == http.client.UNAUTHORIZED:
        found = "its operator's listener wants a key"
        raise Unasked(found, f"give an operator's in the environment variable {KEY}")
    if status != http.client.OK:
        raise Unasked("its operator's listener shows no metrics", _ANOTHER)
    return _read(body)


def _get(operator: OperatorConfig) -> tuple[int, str]:
    host, port = reachable(operator.endpoint)
    key = os.environ.get(KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with closing(_connection(host, port, operator.tls)) as connection:
            connection.request("GET", "/metrics", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST).decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError):
        found = "its operator's listener does not answer, or has another certificate"
        raise Unasked(found, _ANOTHER) from None


def _connection(host: str, port: int, tls: TlsConfig | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    # Whatever name is in the certificate: it must be the one of the configuration.
    context = ssl.create_default_context(cafile=tls.cert_file)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


def _read(text: str) -> Running:
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        found = "its operator's listener shows something else than metrics"
        raise Unasked(found, _ANOTHER) from None
    samples = [sample for family in families for sample in family.samples]

    def of(name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        return ((s.labels, s.value) for s in samples if s.name == name)

    refused: dict[str, int] = {}
    for labels, value in of("footfall_refused_requests_total"):
        if value:
            refused[labels["reason"]] = refused.get(labels["reason"], 0) + int(value)
    requests = of("otelcol_receiver_requests_total")
    read = of("footfall_last_reload_success_timestamp_seconds")
    return Running(
        uptime=max((value for _, value in of("otelcol_process_uptime")), default=0.0),
        taken=sum(int(n) for labels, n in requests if labels["outcome"] == Outcome.SUCCESS),
        refused=refused,
        catalogs=[int(value) for _, value in of("footfall_catalog_digest")],
        read={labels["what"]: value for labels, value in read},
        failed=[labels["what"] for labels, n in of("footfall_last_reload_successful") if not n],
    )


def running_checks(config: Config, running: Running) -> Iterator[Check]:
    """Whether it works by the files as they are, and what it has done since it was started."""
    for what in running.failed:
        advice = "its log says why; correct it (`footfall validate`), then `footfall reload`"
        found = f"the running collector could not read the {what} again, and works by the former"
        yield problem(what, found, advice)
    yield from _catalog(config, running)
    yield from _files(config, running)
    refused = sum(running.refused.values())
    found = f"it has run for {span(running.uptime)}, and taken {count(running.taken, 'request')}"
    yield ok("collector", f"{found}; {count(refused, 'request')} refused")
    if config.postgres is None:  # a store has the refused of all collectors, and whose they were
        for reason, requests in running.refused.items():
            yield losses.refused(reason, requests, ())


def _catalog(config: Config, running: Running) -> Iterator[Check]:
    """The digest says whether it is the same; what a digest leaves out, the file's time."""
    ours = int.from_bytes(bytes.fromhex(fingerprint(config.catalog))[:6], "big")
    others = sum(each != ours for each in running.catalogs)
    changed = _changed(config.catalog_files, running, Reloaded.CATALOG)
    if others and changed is None:
        advice = f"see whether it was started with this file; else {RELOAD}"
        yield warning("catalog", "the running collector works by another catalog than this", advice)
    elif others:
        advice = f"{RELOAD}; until then what is new in the file is dropped"
        yield warning(
            "catalog", f"the running collector works by an older catalog: {changed}", advice
        )
    elif changed is not None:
        yield warning("catalog", changed, RELOAD)


def _files(config: Config, running: Running) -> Iterator[Check]:
    operator = config.service.operator
    keys = [config.keys_file, operator.keys_file if operator else None]
    certificates = [
        file
        for _, tls in listeners(config).values()
        if tls is not None
        for file in (tls.cert_file, tls.key_file, tls.client_ca_file)
    ]
    for what, files in ((Reloaded.KEYS, keys), (Reloaded.CERTIFICATES, certificates)):
        changed = _changed([file for file in files if file], running, what)
        if changed is not None:
            yield warning(what, changed, RELOAD)


def _changed(files: Sequence[str], running: Running, what: Reloaded) -> str | None:
    """Which of some files has changed since the collector read it; None when none has."""
    read = running.read.get(what)
    for file in map(Path, files):
        if read is not None and file.exists() and file.stat().st_mtime > read:
            ago = span(dt.datetime.now(dt.UTC).timestamp() - read)
            return f"{file.name} has changed since the collector read it ({ago} ago)"
    return None
