"""gRPC health checking and server reflection, beside the OTLP services.

Health (grpc.health.v1) tells orchestrators and load balancers where to send; it needs no key. Reflection
(grpc.reflection.v1alpha) lets tools such as grpcurl list and call the services without their .proto files.
"""

import asyncio
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection

MOST_WATCHERS = 100
"""Calls of Watch at a time; each stays open until its client leaves."""
_Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


def add(server: grpc.aio.Server, services: Sequence[str]) -> "Health":
    """Adds both to a server that is not started yet; every service begins as NOT_SERVING.

    Args:
        server: Where.
        services: Full names of the services it has, whose descriptors are loaded.
    """
    found = Health(services)
    health_pb2_grpc.add_HealthServicer_to_server(found, server)
    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    return found


class Health(health_pb2_grpc.HealthServicer):
    """Whether requests are welcome, the same for every service and for the server (the empty name).

    grpcio-health-checking's own servicer is not used: it keeps the names that are asked for, each as long
    as a request may be, and its calls of Watch never end, so that a stopping server waits for them.

    Args:
        services: Full names.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._names = frozenset((health.OVERALL_HEALTH, *services))
        self._serving = self._draining = False
        self._changed = asyncio.Event()
        self._watchers = 0

    def ready(self, ready: bool) -> None:
        """Whether requests are welcome; those who watch are told. Nothing counts after `drain`."""
        if not self._draining:
            self._serving = ready
            self._tell()

    def drain(self) -> None:
        """NOT_SERVING from now on; calls of Watch are told so and end."""
        self.ready(False)
        self._draining = True
        self._tell()

    def _now(self) -> HealthCheckResponse:
        status = HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse(status=status)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request: HealthCheckRequest, context: _Context) -> HealthCheckResponse:
        """The status now; NOT_FOUND for a service that is not ours."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return self._now()

    async def Watch(self, request: HealthCheckRequest, context: _Context) -> None:
        """The status now and whenever it changes; a service that is not ours will not become so."""
        if request.service not in self._names:
            await context.write(HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN))
            return
        if self._watchers >= MOST_WATCHERS:
            message = "too many calls of Watch; use Check"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        self._watchers += 1
        try:
            await self._follow(context)
        finally:
            self._watchers -= 1

    async def _follow(self, context: _Context) -> None:
        told = None
        while True:
            changed = self._changed  # before the status is read: a change meanwhile is not missed
            last = self._draining
            if (now := self._now()) != told:
                await context.write(now)
                told = now
            if last:
                return
            await changed.wait()
