"""Django has one configuration for a process: each test runs a project of its own in a process of its own."""

import json
import textwrap
from pathlib import Path

import pytest

from instrumentation.programs import run

PROJECT = """
import json, sys, threading
import django
import httpx
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

sys.path.insert(0, TESTS)
from instrumentation.servers import asgi_server, wsgi_server
import footfall
from footfall.web import instrument_django, route_event

class SoldOut(Exception): ...

def seed(request, id): return JsonResponse({"id": id})
async def answer(request, status):
    if status == 403: raise PermissionDenied
    if status == 404: raise Http404
    return HttpResponse(status=status)
def broken(request, kind): raise SoldOut("jane@example.org")
def stream(request): return StreamingHttpResponse([b"a", b"b"])
@route_event("seed.made")
def made(request): return HttpResponse(headers={"traceparent": "mine"})
def page(request): return HttpResponse("page")

urlpatterns = [
    path("seeds/<int:id>", seed),
    path("answer/", include([path("<int:status>", answer)])),
    path("raise/<kind>", broken),
    path("stream", stream),
    path("made", made),
    re_path("^admin/(?P<page>[a-z]+)$", lambda request, page: HttpResponse(page)),
    path("other", page),
]

def guard(get_response):
    def middleware(request):
        return HttpResponse(status=401) if "x-stop" in request.headers else get_response(request)
    return middleware

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=["__main__.guard"], SECRET_KEY="x",
    LOGGING_CONFIG=None,
)
client = footfall.Client(strict=True)
exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(exporter))
if WAY == "traced already":
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    DjangoInstrumentor().instrument(tracer_provider=provider)
if WAY == "on a provider":
    instrument_django(client=client, tracer_provider=provider)
instrument_django(client=client)
instrument_django(client=client)
django.setup()
client.configure(CATALOG, ENDPOINT, enabled=True, errors={SoldOut: "sold_out"})
if ASGI:
    from django.core.asgi import get_asgi_application
    serving = asgi_server(get_asgi_application())
else:
    from django.core.wsgi import get_wsgi_application
    serving = wsgi_server(get_wsgi_application())
seen = []
with serving as url, httpx.Client(base_url=url, trust_env=False, verify=False) as http:
    for method, path, headers in REQUESTS:
        response = http.request(method, path, headers=headers)
        got = response.headers
        seen.append([response.status_code, got.get_list("traceparent"), got.get("x-trace-id")])
client.flush()
client.shutdown()
servers = [f"{s.context.trace_id:032x}" for s in exporter.get_finished_spans()]
print(json.dumps([seen, servers, len(settings.MIDDLEWARE)]))
"""
REQUESTS = [
    ("GET", "/seeds/17", {}, 200),
    ("GET", "/answer/200", {}, 200),
    ("GET", "/answer/403", {}, 403),
    ("GET", "/answer/404", {}, 404),
    ("POST", "/answer/504", {}, 504),
    ("GET", "/raise/it", {}, 500),
    ("GET", "/stream", {}, 200),
    ("GET", "/made", {}, 200),
    ("GET", "/seeds/17", {"x-stop": "1"}, 401),
    ("GET", "/other", {}, 200),
    ("GET", "/nowhere", {}, 404),
    ("GET", "/nowhere", {"x-stop": "1"}, 401),
    ("HEAD", "/seeds/17", {}, 200),
]


@pytest.mark.parametrize("asgi", [False, True], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("way", ["alone", "on a provider", "traced already"])
def test_routes_with_rules_are_counted_by_their_answers(way, asgi, catalog, received):
    known = {
        "WAY": way,
        "ASGI": asgi,
        "CATALOG": str(catalog),
        "ENDPOINT": received.endpoint,
        "TESTS": str(Path(__file__).parents[2]),
        "REQUESTS": [request[:3] for request in REQUESTS],
    }
    code = "".join(f"{name} = {value!r}\n" for name, value in known.items()) + PROJECT
    done = run("-W", "error::DeprecationWarning:footfall", "-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    seen, servers, middlewares = json.loads(done.stdout)
    assert [status for status, _, _ in seen] == [request[3] for request in REQUESTS]
    observed = [
        (o["event"], o["feature.action"], o.get("error.type"), o.get("status_class"))
        for o in received.observations()
    ]
    assert observed == [
        ("seed.get", "success", None, None),
        ("seed.answer", "success", None, "2xx"),
        ("seed.answer", "failure", "permission_denied", "4xx"),
        ("seed.answer", "failure", "bad_request", "4xx"),
        ("seed.answer", "failure", "provider_timeout", "5xx"),
        ("seed.raise", "failure", "sold_out", None),
        ("seed.stream", "success", None, None),
        ("seed.made", "success", None, None),
        ("seed.get", "failure", "permission_denied", None),
    ]
    assert received.count("seed.answer", feature_action="invoke") == 4
    assert received.dropped() == {}
    assert middlewares == 2 + (way == "traced already"), "the project's own, and Footfall's"
    for (method, path, *_), (_, traceparents, trace_id) in zip(REQUESTS, seen, strict=True):
        (traceparent,) = traceparents
        assert len(trace_id) == 32
        assert traceparent == "mine" if path == "/made" else traceparent[3:35] == trace_id, method
    assert servers == ([] if way == "alone" else [trace_id for _, _, trace_id in seen])
