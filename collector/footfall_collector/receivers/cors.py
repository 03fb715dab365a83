"""Pages of other origins (Fetch standard, "CORS protocol"): which may send, and what browsers ask first."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from footfall_collector.config.schema import CorsConfig
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.telemetry import Telemetry

PAGE = "footfall.page"
"""In the scope of a request: whether a page of an allowed origin sends it."""
_SENT = ("authorization", "content-type", "content-encoding")
_PROPAGATION = (
    *("traceparent", "tracestate", "baggage"),  # W3C
    *("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
    *("uber-trace-id", "x-amzn-trace-id", "x-cloud-trace-context", "sentry-trace"),
    *("ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled", "newrelic"),
    *("request-id", "request-context", "elastic-apm-traceparent"),
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin"),
    *("x-datadog-sampling-priority", "x-datadog-tags"),
)
"""What instrumented pages add to every request that they send; nothing of it is read but `traceparent`."""


class Pages(CORSMiddleware):
    """Answers browsers; a page that may not send is told so, and counted.

    Pages of named origins may send with credentials: `navigator.sendBeacon` and some exporters always do, and
    browsers send nothing then unless they are told `true`. No cookie is ever read here. They may also be
    public pages that send to a collector in a private network. Not so where any origin may send (`*`).

    Args:
        app: What they send to.
        config: Which pages.
        counting: Counts each preflight that is denied.
        headers: Request headers that are allowed beside those of OTLP.
        methods: That are allowed.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: CorsConfig,
        counting: Telemetry,
        headers: Sequence[str] = (),
        methods: Sequence[str] = ("POST",),
    ) -> None:
        anyone = not all(map(_is_named, config.allowed_origins))
        origins = (re.escape(each).replace(r"\*", ".*") for each in config.allowed_origins)
        super().__init__(
            app,
            allow_origin_regex="|".join(origins),
            allow_methods=methods,
            allow_headers=[
                *_SENT,
                *_PROPAGATION,
                *headers,
                *map(str.lower, config.allowed_headers),
            ],
            allow_credentials=not anyone,
            expose_headers=["retry-after"],
            max_age=config.max_age,
        )
        self.allow_private_network = not anyone
        self._counting = counting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        scope[PAGE] = origin is not None and self.is_allowed_origin(origin)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await super().__call__(scope, receive, self._counted(send, signal_of(scope["path"])))
        elif scope[PAGE]:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _counted(self, send: Send, signal: str) -> Send:
        """Counts a preflight that is denied."""

        async def counting(message: Message) -> None:
            if message.get("status", 200) >= 400:
                self._counting.refused(Refused.ORIGIN, "http", signal)
            await send(message)

        return counting

    def preflight_response(self, request_headers: Headers) -> Response:
        """Whether, and what, a page may send."""
        response = super().preflight_response(request_headers)
        if "access-control-allow-origin" not in response.headers and self.allow_credentials:
            del response.headers["access-control-allow-credentials"]
        return response


def signal_of(path: str) -> str:
    """What a path stands for, if it stands for a signal."""
    return path.removeprefix("/v1/").rstrip("/")


def _is_named(origin: str) -> bool:
    """Whether a pattern says more of an origin than its scheme and port."""
    host = origin.rpartition("//")[2].partition(":")[0]
    return bool(host.strip("*."))
