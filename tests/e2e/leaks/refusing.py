"""Requests that are refused, whatever for, and what is no request; each with secrets."""

import asyncio
import gzip
from functools import cache

from grpc_health.v1.health_pb2 import HealthCheckRequest

from e2e.leaks.collecting import Secrets
from e2e.leaks.planting import Place
from e2e.leaks.requests import SIGNALS, request
from e2e.leaks.sending import TYPES, WAYS, Senders, http2_call
from footfall_collector.security.keys import make_token
from support.otlp import METHODS, as_json

EACH = [(way, signal) for way in WAYS for signal in SIGNALS]
PAGES = ("/metrics", "/readyz", "/healthz")
TRIES, FLOOD, MOST_HELD = 40, 4, 300
MIB = 2**20
STATUS = b"grpc-status"
EXPORT = METHODS["traces"]


class Refusals:
    """Sends them to one collector."""

    def __init__(self, senders: Senders, known: Secrets) -> None:
        self._senders, self._book, self._known = senders, senders.book, known
        self._send, self._raw, self._post = senders.send, senders.raw, senders.post

    async def all(self) -> None:
        for situation in (
            self.malformed,
            self.too_large,
            self.wrong_keys,
            self.wrong_paths,
            self.wrong_methods,
            self.wrong_types,
            self.wrong_metadata,
            self.bad_gzip,
            self.bad_gzip_over_grpc,
            self.noise,
            self.browsers,
            self.operators_pages,
        ):
            await situation()
        await self.too_many()

    def _bodies(self, situation: str) -> dict[str, bytes]:
        """A request of each signal, the same in every way that it is sent."""
        places = {signal: Place(self._book, situation, signal) for signal in SIGNALS}
        return {signal: request(signal, p, p.text("note")) for signal, p in places.items()}

    async def malformed(self) -> None:
        """Cut off at the end; something else altogether; JSON of the wrong shape."""
        bodies = self._bodies("malformed")
        for way, signal in EACH:
            place = Place(self._book, "malformed", way, signal)
            body = as_json(signal, bodies[signal]) if way == "json" else bodies[signal]
            wrong = (
                f'{{"resourceSpans":"{place.text("spans")}","resourceLogs":"{place.text("logs")}",'
                f'"resourceMetrics":{{"scopeMetrics":{place.number("number")}}}}}'
            )
            for content in (body[:-1], place.text("garbage").encode() + b"\xff", wrong.encode()):
                await self._send("malformed", way, signal, content, encoded=True)

    async def too_large(self) -> None:
        bodies = self._bodies("too large")
        for way, signal in EACH:
            body = as_json(signal, bodies[signal]) if way == "json" else bodies[signal]
            content = body + b" " * MIB if way == "json" else body * (MIB // len(body) + 1)
            await self._send("too large", way, signal, content, encoded=True, compressed=True)

    async def wrong_keys(self) -> None:
        """Keys that are not known, are no keys, or are another's; each of them is a secret."""
        bodies, others = self._bodies("wrong key"), self._bodies("wrong service")
        for way, signal in EACH:
            place, unknown = Place(self._book, "wrong key", way, signal), make_token()
            place.plant("key", unknown, unknown[4:])
            for header in (
                f"Bearer {unknown}",
                f"Bearer {place.text('token')}",
                f"Basic {place.text('password')}",
                place.of("jwt", "scheme"),
            ):
                await self._send("wrong key", way, signal, bodies[signal], authorization=header)
            await self._send("wrong service", way, signal, others[signal], key=self._known.bound)

    async def wrong_paths(self) -> None:
        codes = self._senders.codes["wrong path"]
        for way in WAYS:
            place = Place(self._book, "wrong path", way)
            body, name = request("traces", place, place.text("note")), f"wrong path / {way}"
            headers = {"x-a": place.text("header")}
            if way == "grpc":
                for method in (f"/{place.text('service')}/Export", EXPORT + place.text("method")):
                    codes[way, "traces"].add(await self._senders.call(name, method, body, headers))
                continue
            for path in (
                f"/v1/{place.text('path')}?q={place.text('query')}",
                f"/{place.text('path')}",
                f"/v1/traces/{place.of('email', 'path')}",
            ):
                sent = headers | {"content-type": TYPES[way]}
                response = await self._post(name, path, body, sent)
                codes[way, "traces"].add(str(response.status_code))
        asked = HealthCheckRequest(service=place.text("health")).SerializeToString()
        await self._senders.call("health", "/grpc.health.v1.Health/Check", asked, {})

    async def wrong_methods(self) -> None:
        for way, kind in TYPES.items():
            place = Place(self._book, "wrong method", way)
            body, method = request("logs", place, place.text("note")), place.text("word").upper()
            place.plant("method", method, method)
            headers = {"content-type": kind}
            await self._post(f"wrong method / {way}", "/v1/logs", body, headers, method=method)

    async def wrong_types(self) -> None:
        bodies = self._bodies("wrong type")
        for way, signal in EACH:
            if way == "grpc":
                continue
            place = Place(self._book, "wrong type", way, signal)
            for headers in (
                {"content_type": f"text/{place.text('type')}"},
                {"content_type": TYPES[way] + place.text("suffix")},
                {"content_encoding": place.text("content encoding")},
            ):
                await self._send("wrong type", way, signal, bodies[signal], **headers)

    async def wrong_metadata(self) -> None:
        """What no client library would say."""
        place, sending = Place(self._book, "wrong type", "grpc"), []
        for name in (
            "grpc-encoding", "grpc-accept-encoding", "grpc-timeout", "content-type", "te",
            "grpc-message-type", ":scheme", "host",
        ):  # fmt: skip
            headers = {"authorization": f"Bearer {self._known.key}", name: place.text(name)}
            message = place.text(f"message with {name}").encode()
            data = http2_call(EXPORT, headers, message, compressed=False)
            sending.append(self._raw("wrong type / grpc", self._senders.rpc, data, STATUS))
        await asyncio.gather(*sending)

    async def bad_gzip(self) -> None:
        bodies = self._bodies("bad gzip")
        for way, signal in EACH:
            if way == "grpc":
                continue
            place = Place(self._book, "bad gzip", way, signal)
            for content in _bad_gzip(bodies[signal], place):
                await self._send(
                    "bad gzip", way, signal, content, encoded=True, content_encoding="gzip"
                )

    async def bad_gzip_over_grpc(self) -> None:
        headers = {"authorization": f"Bearer {self._known.key}", "grpc-encoding": "gzip"}

        async def call(signal: str, content: bytes) -> None:
            data = http2_call(METHODS[signal], headers, content, compressed=True)
            answer = await self._raw("bad gzip / grpc", self._senders.rpc, data, STATUS)
            code = "INTERNAL" if STATUS + b"\x0213" in answer else repr(answer)
            self._senders.codes["bad gzip"]["grpc", signal].add(code)

        sending = []
        for signal in SIGNALS:
            place = Place(self._book, "bad gzip", "grpc", signal)
            body = request(signal, place, place.text("note"))[:16_000]  # what fits into a frame
            sending += [call(signal, content) for content in _bad_gzip(body, place)]
        await asyncio.gather(*sending)

    async def noise(self) -> None:
        """What is no request, from an address that is a secret."""
        sending = []
        for name in ("rpc", "http", "operator"):
            place = Place(self._book, "noise", name)
            post = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n"
            for data in (
                b"%b\r\n\r\n" % _word(place, "line"),
                b"GET /%b HTTP/9.9\r\nHost: a\r\n\r\n" % _word(place, "path"),
                post + b"%b\r\n\r\n" % _word(place, "no header"),
                post + b"Content-Length: %b\r\n\r\n" % _word(place, "length"),
                post + b"Transfer-Encoding: %b\r\n\r\n" % _word(place, "transfer encoding"),
                post + b"Transfer-Encoding: chunked\r\n\r\n%b\r\n" % _word(place, "chunk"),
                post + b"X: %b\r\n\r\n" % (_word(place, "long header") * 4000),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _word(place, "frame") * 9,
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + _word(place, "TLS") * 9,
            ):
                address = getattr(self._senders, name)
                sending.append(self._raw(f"noise / {name}", address, data))
        await asyncio.gather(*sending)

    async def browsers(self) -> None:
        """CORS: pages of other origins, headers and methods that nobody allows."""
        place = Place(self._book, "browser")
        host = place.text("host").lower()
        place.plant("origin", host, host)
        ours = {"origin": "https://shop.example"}
        asked = "access-control-request-method"
        for headers in (
            {"origin": f"https://{host}.example", asked: "POST"},
            ours | {asked: place.text("method")},
            ours | {asked: "POST", "access-control-request-headers": place.text("header")},
        ):
            await self._post("browser", "/v1/traces", b"", headers, method="OPTIONS")
            await self._post("browser", f"/{place.text('path')}.js", b"", headers, method="GET")

    async def operators_pages(self) -> None:
        place = Place(self._book, "operator's listener")
        headers = {
            "host": f"{place.text('host')}.example",
            "accept": f"text/{place.text('accept')}",
            "cookie": place.text("cookie"),
        }
        for token in (self._known.operator, place.text("key")):
            for path in (*PAGES, f"/{place.text('path')}"):
                for method in ("GET", "POST"):
                    await self._post(
                        "operator's listener",
                        f"{path}?name[]={place.text('query')}",
                        b"",
                        headers | {"authorization": f"Bearer {token}"},
                        method=method,
                        base=self._senders.operator,
                    )

    async def too_many(self) -> None:
        """More requests than a key may send; each worker counts for itself, and takes the first."""
        places = {signal: Place(self._book, "too many", signal) for signal in SIGNALS}
        bodies = {
            s: request(s, p, self._book.declare("too many", kept=False)) for s, p in places.items()
        }
        codes = self._senders.codes["too many"]
        for way, signal in EACH:
            for _ in range(TRIES):
                code = await self._send(
                    "too many", way, signal, bodies[signal], key=self._known.slow
                )
                if code in ("RESOURCE_EXHAUSTED", "429"):
                    break
            codes[way, signal] = {code}

    async def overload(self) -> None:
        """More at once than may be in flight: others begin ever again, and leave in the middle."""
        async with asyncio.TaskGroup() as group:
            flood = [group.create_task(self._flood()) for _ in range(FLOOD)]
            await asyncio.sleep(0.5)
            await asyncio.gather(*(self._overloaded(*each) for each in EACH))
            for each in flood:
                each.cancel()
        for _ in range(TRIES):  # until both workers have noticed
            probes = (self._send("probe", "protobuf", "traces", b"") for _ in range(16))
            if set(await asyncio.gather(*probes)) == {"200"}:
                break

    async def _flood(self) -> None:
        held: list[asyncio.StreamWriter] = []
        try:
            while len(held) < MOST_HELD:
                held.append(await self.unfinished("held", 950_000))
                await asyncio.sleep(0.1)
        finally:
            for writer in held:
                writer.transport.abort()

    async def _overloaded(self, way: str, signal: str) -> None:
        """Sends until there is no room."""
        place = Place(self._book, "overload", way, signal)
        word = self._book.declare(f"overload / {way} / {signal}", kept=False)
        body, codes = request(signal, place, word), self._senders.codes["overload"]
        for number in range(TRIES):
            odd = number % 2 == 1
            code = await self._send("overload", way, signal, body, compressed=odd)
            if code in ("UNAVAILABLE", "503"):
                break
        codes[way, signal] = {code}

    @cache  # noqa: B019  # it lives as long as the test
    def _begun(self, name: str) -> bytes:
        place = Place(self._book, name)
        return request("traces", place, place.text("note"))

    async def unfinished(self, name: str, padding: int) -> asyncio.StreamWriter:
        """The connection of a request whose end is still to come."""
        body = self._begun(name) + bytes(padding)
        _, writer = await asyncio.open_connection(*self._senders.http.split(":"))
        head = (
            f"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {TYPES['protobuf']}\r\n"
            f"authorization: Bearer {self._known.key}\r\ncontent-length: 1000000\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        return writer


def _bad_gzip(body: bytes, place: Place) -> tuple[bytes, ...]:
    """No gzip; cut short; with something behind it. The body is stored as it is: all of it can be read."""
    whole = gzip.compress(body, 0)
    return body, whole[:-5], whole + place.text("appendix").encode()


def _word(place: Place, name: str) -> bytes:
    return place.text(name).encode()
