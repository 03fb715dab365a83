"""What is done to the collector: every situation in which a request is answered, with secrets in each."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from conftest import copied
from e2e.leaks.collecting import (
    Collector,
    Evidence,
    Secrets,
    configure,
    environment,
    look_at,
    misbehaving,
    read_all,
    shared_metrics,
    sql,
)
from e2e.leaks.planting import Book, Place
from e2e.leaks.refusing import EACH, PAGES, Refusals
from e2e.leaks.requests import POISON, filler, request
from e2e.leaks.sending import Senders
from footfall_exporters.embedded import EmbeddedPostgres
from support.http_server import Server, serving
from support.secrets import dump
from support.waiting import until

TALKATIVE = {
    "log_statement": "all", "log_min_messages": "debug1", "log_min_error_statement": "debug1",
    "log_error_verbosity": "verbose", "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1", "log_min_duration_statement": "0",
}  # fmt: skip
"""What an operator's own server may log; the embedded one is made to do the same."""


def tell(cluster: Path) -> Evidence:
    """Everything; in a copy of this cluster."""
    home = Path(tempfile.mkdtemp(prefix="footfall-leaks-"))
    home.chmod(0o711)  # for the user who runs Postgres when root runs the tests
    # The collector gets its DSN: one that it could start itself, it would start again when it is stopped.
    server = EmbeddedPostgres(copied(cluster, home / "postgres"), {"fsync": "off"})
    try:
        evidence = asyncio.run(_tell(home, server))
        server.stop()
        _sort_files(evidence, home)
    finally:
        server.stop()
        shutil.rmtree(home)
    return evidence


async def _tell(home: Path, server: EmbeddedPostgres) -> Evidence:
    evidence, dsn = Evidence(Book(), Secrets()), server.start()
    evidence.known.password = await asyncio.to_thread((home / "postgres" / "password").read_text)
    for name, value in TALKATIVE.items():
        await sql(dsn, f"ALTER DATABASE footfall SET {name} = '{value}'")
    async with serving() as backend:
        misbehaving(backend)
        config, operator = configure(home, dsn, backend.url, evidence.known)
        async with _running(config, evidence) as up:
            addresses = [await up.address(f"OTLP/{name}") for name in ("gRPC", "HTTP")]
            senders = Senders(*addresses, operator, evidence.known.key, evidence.book)
            await Story(evidence, up, senders, server, dsn, home).run()
        evidence.codes = senders.codes
        evidence.keep("answers", senders.answers)
        _keep_received(evidence, backend)
    evidence.keep("tables", {"dump": await asyncio.to_thread(dump, dsn)})
    await sql(dsn, "CHECKPOINT")
    return evidence


@asynccontextmanager
async def _running(config: Path, evidence: Evidence) -> AsyncIterator[Collector]:
    up = Collector(config, environment(evidence.known))
    try:
        yield up
    except BaseException:
        print(up.log.read_text()[-20_000:])
        raise
    finally:
        evidence.operators = up.environment
        evidence.status = await asyncio.to_thread(up.stop)


def _keep_received(evidence: Evidence, backend: Server) -> None:
    for n, each in enumerate(backend.requests):
        evidence.keep("received", {f"request {n}": each.sent})
        head = f"{each.method} {each.target} {each.headers}"
        evidence.keep("received headers", {f"request {n}": head.encode()})


def _sort_files(evidence: Evidence, home: Path) -> None:
    """Into places; the operator's own files aside."""
    data = home / "postgres" / "data"
    own = {home / "collector.yaml", home / "keys.yaml", home / "operators.yaml",
           home / "postgres" / "password"}  # fmt: skip
    places = {
        "WAL": data / "pg_wal",
        "data directory": data,
        "server log": home / "postgres" / "postgres.log",
        "spool afterwards": home / "spool",
        "log": home / "log.jsonl",
        "output": home / "output.txt",
        "event log": home / "events.jsonl",
        "anything else": home,
    }
    for name, content in read_all(home).items():
        if Path(name) not in own:
            place = next(p for p, path in places.items() if Path(name).is_relative_to(path))
            evidence.keep(place, {name: content})


class Story:
    """The situations, one after the other."""

    def __init__(
        self,
        evidence: Evidence,
        up: Collector,
        senders: Senders,
        server: EmbeddedPostgres,
        dsn: str,
        home: Path,
    ) -> None:
        self.evidence, self.book, self.known = evidence, evidence.book, evidence.known
        self.up, self.senders, self.server, self.dsn, self.home = up, senders, server, dsn, home

    async def run(self) -> None:
        await self.whole("accepted")
        await self.whole("partly refused", partly=True)
        await self.look("while all is well")
        refusals = Refusals(self.senders, self.known)
        await refusals.all()
        await refusals.overload()
        await self.refused_by_the_store()
        await self.failing_statement()
        await self.crashed(refusals)
        await self.away()
        await self.back_again()
        await self.look("at the end")
        workers = [look_at(pid) for pid in (self.up.process.pid, *self.up.workers())]
        self.evidence.processes = workers

    # Taken

    async def whole(
        self, situation: str, *, partly: bool = False, prefix: str = "", kept: bool = True
    ) -> None:
        """Whole requests, every other one with gzip; their declared words need not be kept."""
        sending = []
        for n, (way, kind) in enumerate(EACH):
            place = Place(self.book, situation, way, kind)
            word = self.book.declare(f"{situation} / {way} / {kind}", kept=kept)
            word = prefix + word if kind != "metrics" else word
            body = request(kind, place, word, partly=partly)
            sending.append(self.senders.send(situation, way, kind, body, compressed=n % 2 == 1))
        await asyncio.gather(*sending)

    async def away(self) -> None:
        """Without Postgres: what is taken goes to the spool, until that is full."""
        await asyncio.to_thread(self.server.stop)
        await self.whole("Postgres away")
        self.evidence.keep("spool", read_all(self.home / "spool"))
        await self.look("while Postgres is away")
        for spans in (7000, 1000, 100, 10):
            while await self.fits(spans):
                pass
        await self.whole("spool full", kept=False)
        self.evidence.keep("spool when full", read_all(self.home / "spool"))
        await self.look("while the spool is full")

    async def fits(self, spans: int) -> bool:
        """Whether so much more went into the spool."""
        word = self.book.declare(f"filler of {spans}")
        code = await self.senders.send("filling", "protobuf", "traces", filler(spans, word))
        if code != "200":
            self.book.lost.append(self.book.declared.pop())
        return code == "200"

    async def back_again(self) -> None:
        """With Postgres again: the spool is emptied, and subscribers get everything."""
        await asyncio.to_thread(self.server.start)
        await self.all_stored()
        notes = "SELECT DISTINCT note FROM reporting.events WHERE note LIKE 'a %[%]'"
        self.evidence.redacted = {row[0] for row in await sql(self.dsn, notes)}
        hashes = "SELECT count(guild_hash), count(visitor_hash), count(team_hash)"
        found = await sql(self.dsn, f"{hashes} FROM footfall.feature_events")
        self.evidence.hashed = found[0]

    async def all_stored(self) -> None:
        """Returns when every declared word is stored, and every subscriber has got it."""
        words = (
            "SELECT note FROM reporting.events WHERE note LIKE 'kept%'"
            " UNION SELECT service FROM footfall.feature_dims"
        )
        behind = (
            "SELECT s.name FROM footfall.subscribers s, footfall.commit_clock k"
            " WHERE s.position < k.position"
        )
        wanted = {each.value for each in self.book.declared}
        async with asyncio.timeout(40):
            while True:
                stored = {row[0] for row in await sql(self.dsn, words)}
                if wanted <= stored and not await sql(self.dsn, behind):
                    return
                await asyncio.sleep(0.2)

    # When the store fails

    async def refused_by_the_store(self) -> None:
        """Data that Postgres refuses, each time with an error that quotes the row."""
        await sql(
            self.dsn,
            "ALTER TABLE footfall.feature_events ADD CONSTRAINT planted"
            f" CHECK (note NOT LIKE '{POISON}%') NOT VALID",
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
            " RAISE EXCEPTION 'refused: %', NEW::text USING ERRCODE = '22023', DETAIL = NEW::text;"
            " END$$",
            "CREATE TRIGGER refuse BEFORE INSERT ON footfall.ingest_batches FOR EACH ROW"
            " WHEN (NEW.signal = 'metrics') EXECUTE FUNCTION public.refuse()",
        )
        await self.whole("refused by the store", prefix=POISON, kept=False)
        await sql(
            self.dsn,
            "ALTER TABLE footfall.feature_events DROP CONSTRAINT planted",
            "DROP TRIGGER refuse ON footfall.ingest_batches",
        )

    async def failing_statement(self) -> None:
        """A statement that is wrong, which is our fault and not the data's: all of it waits in the spool."""
        rename = "ALTER TABLE footfall.ingest_batches RENAME COLUMN {} TO {}"
        await sql(self.dsn, rename.format("accepted", "renamed"))
        await self.whole("statement fails")
        await sql(self.dsn, rename.format("renamed", "accepted"))
        await self.all_stored()

    async def crashed(self, refusals: Refusals) -> None:
        """A worker that crashes in the middle of a request."""
        pid = self.up.workers()[0]
        writers = [await refusals.unfinished("crash", 0) for _ in range(8)]
        await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGSEGV)
        await until(lambda: "worker 0 ended" in self.up.log.read_text())
        for writer in writers:
            writer.transport.abort()
        await self.ready()

    async def ready(self) -> None:
        """Returns when the first worker, which has the operator's listener, is up."""
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await self.page("/readyz")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    # What the operator sees

    async def look(self, when: str) -> None:
        self.evidence.keep(
            "shared metrics", {f"{when}, {n}": c for n, c in shared_metrics().items()}
        )
        for path in PAGES:
            response = await self.page(path)
            head = repr(response.headers.multi_items()).encode()
            self.evidence.keep(path, {when: head + b"\n" + response.content})

    async def page(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(
            base_url=f"http://{self.senders.operator}", timeout=10, verify=False
        ) as http:
            return await http.get(path, headers={"authorization": f"Bearer {self.known.operator}"})
