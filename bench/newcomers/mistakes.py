"""Typical mistakes: each is made, and what the product says of it is listened for."""

import os
import re
import signal
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from psycopg.conninfo import make_conninfo

from newcomers.journeys import operators_postgres
from newcomers.machine import HEARD_S, Environment, Program, heard, run, running
from support.ports import free_port

CATALOG: Final = """\
product: shop
attributes:
  plan: {type: enum, values: [free, pro]}
  number: {type: int, max: 100}
events:
  shop.order: {surface: web, feature: order, attributes: [plan, number]}
"""
CONFIG: Final = """\
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
      http: {{endpoint: "127.0.0.1:{http}"}}
{auth}
processors: {{footfall: {{catalog: events.yaml}}}}
exporters:
  postgres: {{{store}}}
service: {{operator: {{endpoint: "127.0.0.1:{operator}"}}}}
"""
PROGRAM: Final = """\
import sys, time
import footfall

footfall.configure(catalog="events.yaml")
{use}
footfall.flush()
time.sleep(60)
"""
APPLICATION, COLLECTOR = "the application's log", "the collector's log"
Sources = Mapping[str, Callable[[], str]]


class Row(NamedTuple):
    """What came of a mistake; `where` is empty where nothing was said in time."""

    mistake: str
    where: str
    seconds: float
    line: str


class Scene:
    """A folder with a catalog, a configuration and an environment in which everything is installed.

    Attributes:
        folder: Where programs run.
        grpc: The collector's port of OTLP/gRPC.
        http: And of OTLP/HTTP.
        variables: Those of every program from now on.
    """

    def __init__(self, folder: Path, environment: Environment) -> None:
        self.folder, self._bin = folder, environment.bin
        self.grpc, self.http, self._operator = free_port(), free_port(), free_port()
        self.variables: dict[str, str] = {}
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "events.yaml").write_text(CATALOG)
        self.configure()

    def configure(self, auth: str = "", store: str = "") -> None:
        """Writes the configuration."""
        text = CONFIG.format(
            grpc=self.grpc, http=self.http, operator=self._operator, store=store,
            auth=textwrap.indent(auth, "    "),
        )  # fmt: skip
        (self.folder / "collector.yaml").write_text(text)

    def environ(self, **variables: str) -> dict[str, str]:
        """The variables of a program; the application's environment is that of development."""
        kept = {"LANG": "C.UTF-8", "HOME": str(self.folder)}
        found = {
            "PATH": f"{self._bin}:/usr/local/bin:/usr/bin:/bin",
            "FOOTFALL_HOME": str(self.folder / "home"),
            "TELEMETRY_ENABLED": "true",
            "FOOTFALL_ENDPOINT": f"http://127.0.0.1:{self.grpc}",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=development",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
        }
        return {k: v for k, v in (kept | found | self.variables | variables).items() if v}

    def footfall(self, *arguments: object, **variables: str) -> str:
        """What a command answers, whatever its status."""
        command = [self._bin / "footfall", *arguments]
        return run(command, self.folder, self.environ(**variables), right=False)

    @contextmanager
    def collector(self, **variables: str) -> Iterator[Program]:
        """A collector that serves."""
        command = [self._bin / "footfall", "up", "--config", "collector.yaml"]
        with running(command, self.folder, self.environ(**variables), "collector") as program:
            program.wait_for("Ctrl-C")
            yield program

    @contextmanager
    def application(self, use: str, **variables: str) -> Iterator[Program]:
        """An application that makes a use of a feature, and runs on."""
        (self.folder / "app.py").write_text(PROGRAM.format(use=use))
        command = [self._bin / "python", "app.py"]
        with running(command, self.folder, self.environ(**variables), "app") as program:
            yield program

    def doctor(self) -> str:
        """What `footfall doctor` answers."""
        return _flat(self.footfall("doctor", "--config", "collector.yaml"))


def play(folder: Path, wheel: Path, wheelhouse: Path | None) -> list[Row]:
    """Makes all mistakes; in how many seconds each was said, and where."""
    environment = Environment(folder, wheel, wheelhouse)
    environment.make()
    environment.type("pip install 'footfall[collector,embedded]'")
    rows: list[Row] = []
    for number, make in enumerate((_in_code, _in_variables, _of_keys, _of_commands, _of_postgres)):
        rows += make(Scene(folder / f"scene{number}", environment))
    return rows


def _flat(text: str) -> str:
    """Without the line breaks of a table."""
    return re.sub(r"\s+", " ", text)


def _row(mistake: str, sources: Sources, words: str) -> Row:
    found = heard(sources, words)
    if found is None or found[1] > HEARD_S:
        said = "\n".join(f"{name}: {read()[-600:]}" for name, read in sources.items())
        return Row(mistake, "", found[1] if found else HEARD_S, said)
    return Row(mistake, found[0], found[1], _flat(found[2]))


def _used(scene: Scene, mistake: str, use: str, words: str, **variables: str) -> Row:
    """A mistake of an application, listened for in its own log."""
    with scene.application(use, **variables) as program:
        return _row(mistake, {APPLICATION: program.said}, words)


IN_CODE: Final = (
    ("misspelt event", 'footfall.event("shop.ordr")', r'"shop\.ordr" is not declared.*mean "shop\.order"'),
    ("misspelt action", 'footfall.event("shop.order", "sucess")', r'no action "sucess".*mean "success"'),
    ("misspelt attribute", 'footfall.event("shop.order", plam="pro")',
     r'does not declare the attribute "plam".*mean "plan"'),
    ("wrong type", 'footfall.event("shop.order", number="many")',
     "value of number was left out.*must be int"),
    ("enum value not listed", 'footfall.event("shop.order", plan="gold")',
     "value of plan was left out.*must be one of free, pro"),
)  # fmt: skip
"""Mistakes in calls: what is called, and what is said of it."""
REFUSED: Final = "it refuses the key, or wants one[^\n]*give the key[^\n]*FOOTFALL_HEADERS"
ORDER: Final = 'footfall.event("shop.order", "success")'


def _in_code(scene: Scene) -> Iterator[Row]:
    with scene.collector() as collector:
        for mistake, use, words in IN_CODE:
            yield _used(scene, mistake, use, words)
        catalog = 'footfall.configure(catalog="event.yaml")'
        yield _used(
            scene,
            "missing catalog, in the code",
            catalog,
            r"event\.yaml.*No such file.*footfall init",
        )
        yield _changed(scene, collector)


def _changed(scene: Scene, collector: Program) -> Row:
    """An event is added to the catalog, and the collector is not told."""
    more = CATALOG + "  shop.refund: {surface: web, feature: refund}\n"
    (scene.folder / "events.yaml").write_text(more)
    with scene.application('footfall.event("shop.refund", "success")'):
        sources = {COLLECTOR: collector.said, "footfall doctor": scene.doctor}
        words = "read it again: [^;]*"
        return _row("catalog changed, not reloaded", sources, words)


def _in_variables(scene: Scene) -> Iterator[Row]:
    with scene.collector() as collector:
        yield _used(scene, "TELEMETRY_ENABLED forgotten", ORDER, "TELEMETRY_ENABLED is not set.*true",
                    TELEMETRY_ENABLED="")  # fmt: skip
        yield _used(scene, "wrong host", ORDER, "(?i)footfall:.*nohost.invalid[^\n]*",
                    FOOTFALL_ENDPOINT="http://nohost.invalid:4317")  # fmt: skip
        yield _used(scene, "wrong port", ORDER, "(?i)(nothing listens|refused)[^\n]*",
                    FOOTFALL_ENDPOINT=f"http://127.0.0.1:{free_port()}")  # fmt: skip
        for mistake, port, protocol, words in (
            ("gRPC at the port of HTTP", scene.http, "grpc", "send gRPC to the port of OTLP/gRPC[^\n]*"),
            ("HTTP at the port of gRPC", scene.grpc, "http/protobuf",
             "it speaks gRPC, not HTTP[^\n]*FOOTFALL_PROTOCOL"),
        ):  # fmt: skip
            at = {"FOOTFALL_ENDPOINT": f"http://127.0.0.1:{port}", "FOOTFALL_PROTOCOL": protocol}
            with scene.application(ORDER, **at) as program:
                yield _row(mistake, {APPLICATION: program.said, COLLECTOR: collector.said}, words)


def _of_keys(scene: Scene) -> Iterator[Row]:
    made = scene.footfall("keys", "new", "shop", "--service", "shop", "--file", "keys.yaml")
    key = re.search(r"ffk_\w+", made)
    theirs = scene.footfall("keys", "new", "bot", "--service", "bot", "--file", "keys.yaml")
    other = re.search(r"ffk_\w+", theirs)
    assert key, made
    assert other, theirs
    cut = key[0][:-1]
    scene.configure(auth="auth: {keys_file: keys.yaml}")
    with scene.collector() as collector:
        for mistake, header, words in (
            ("no key", "", REFUSED),
            ("wrong key", f"authorization=Bearer%20{cut}", REFUSED),
            ("key of another service", f"authorization=Bearer%20{other[0]}",
             "the key may not send this[^\n]*is it the key for this service[^\n]*"),
        ):  # fmt: skip
            with scene.application(ORDER, FOOTFALL_HEADERS=header) as program:
                yield _row(mistake, {APPLICATION: program.said, COLLECTOR: collector.said}, words)


def _answered(scene: Scene, mistake: str, command: str, words: str, **variables: str) -> Row:
    """A mistake that a command answers."""
    answer: list[str] = []

    def read() -> str:
        if not answer:
            answer.append(scene.footfall(*command.split(), **variables))
        return answer[0]

    return _row(mistake, {f"footfall {command.split()[0]}": read}, words)


def _of_commands(scene: Scene) -> Iterator[Row]:
    up = "up --config collector.yaml"
    with scene.collector():
        yield _answered(
            scene,
            "port taken",
            up,
            r"port \d+[^\n]* is in use[^\n]*set another endpoint",
            FOOTFALL_HOME=f"{scene.folder}/two",
        )
    (scene.folder / "events.yaml").rename(scene.folder / "other.yaml")
    yield _answered(
        scene, "missing catalog", up, r"events\.yaml[^\n]*No such file[^\n]*footfall init[^\n]*"
    )
    (scene.folder / "other.yaml").rename(scene.folder / "events.yaml")
    scene.configure(store="spool: {directory: events.yaml/spool}")
    yield _answered(scene, "unwritable path, validated", "validate collector.yaml",
                    r"spool\.directory: [^\n]*is no directory[^\n]*")  # fmt: skip
    yield _answered(
        scene, "unwritable path, started", up, "the spool in [^\n]*cannot be opened[^\n]*"
    )
    _expired(scene.folder)
    scene.configure()
    tls = "tls: {cert_file: s.pem, key_file: s.key}"
    config = (scene.folder / "collector.yaml").read_text()
    listens = f'"127.0.0.1:{scene.http}"'
    (scene.folder / "collector.yaml").write_text(config.replace(listens, f"{listens}, {tls}"))
    words = "expired[^\n]*put a valid certificate there"
    yield _answered(scene, "expired certificate", up, words)


def _expired(folder: Path) -> None:
    """A certificate that has ended yesterday."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "s.key"]
    for arguments in (
        ["req", "-new", *key, "-subj", "/CN=localhost", "-out", "s.csr"],
        ["x509", "-req", "-in", "s.csr", "-signkey", "s.key", "-days", "-1", "-out", "s.pem"],
    ):
        run(["openssl", *arguments], folder, os.environ)


def _of_postgres(scene: Scene) -> Iterator[Row]:
    with ExitStack() as stack:
        superuser = stack.enter_context(operators_postgres(scene.folder))
        up = "up --config collector.yaml"
        wrong = make_conninfo(superuser, password="another")  # noqa: S106
        yield _answered(
            scene, "wrong password", up, "(?i)password[^\n]*FOOTFALL_DSN[^\n]*", FOOTFALL_DSN=wrong
        )
        collector = stack.enter_context(scene.collector(FOOTFALL_DSN=superuser))
        _stop(scene.folder / "operators")
        scene.variables["FOOTFALL_DSN"] = superuser
        with scene.application(ORDER):
            words = "(?i)[^\n]*Postgres (cannot be reached|is away)[^\n]*"
            sources = {COLLECTOR: collector.said, "footfall doctor": scene.doctor}
            yield _row("Postgres stopped", sources, words)


def _stop(directory: Path) -> None:
    """Has a Postgres end, as whoever looks after it would."""
    process = int((directory / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(process, signal.SIGINT)
