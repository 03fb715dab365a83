"""What was posted → a batch, stored exactly as OTLP's are."""

import secrets
from collections import Counter
from dataclasses import replace

from starlette.requests import Request

from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.decoding.posts import attribute
from footfall_collector.receivers.admission import Passage
from footfall_collector.receivers.api import posted
from footfall_collector.receivers.api.contracts import Body
from footfall_collector.receivers.api.naming import Named
from footfall_collector.receivers.intake import Intake
from footfall_collector.security.identity.identity import Identity
from footfall_collector.telemetry import telemetry
from footfall_processors import Batch
from footfall_processors.names import QUANTITY


class Storing:
    """Stores what is posted.

    Args:
        config: The receiver's.
        intake: Where batches go.
        decoding: Under the catalog in force.

    Attributes:
        gate: Who may come in.
    """

    def __init__(
        self,
        config: HttpApiConfig,
        intake: Intake,
        decoding: Decoding,
    ) -> None:
        self._intake, self._decoding = intake, decoding
        self.gate = intake.gate
        self._names = config.attributes
        self._resource = posted.resource(config.service)

    def request(self, signal: str, route: str) -> telemetry.Request:
        """Counts a request; see `Endpoint`."""
        return self._intake.telemetry.request(signal, "http", receiver="http_api", route=route)

    def open(self, who: Identity, request: Request) -> Passage:
        """A place for a request; who sends too much takes it from nobody else.

        Raises:
            Refusal: there is none now.
        """
        return self.gate.open(who.key.id if who.key else request.scope["client"])

    async def store(
        self,
        body: Body,
        who: Identity,
        seen: telemetry.Request,
        named: Named | None,
        receipt: str | None = None,
    ) -> Batch:
        """The batch, once it is durable.

        Args:
            body: What is posted.
            who: By whom.
            seen: Counts it.
            named: What the client calls it; without that, two posts that say the same are two.
            receipt: Under which it is stored, if under any.

        Raises:
            Refusal: nothing of it is stored.
        """
        names = self._names
        said = {
            names.viewer: who.viewer,
            names.owner: who.owner,
            names.session: who.session,
            names.installation: who.installation,
            names.receipt: receipt,
        }
        # What a client says of its session counts where the server knows nothing of it.
        servers = {*said} - ({names.session} if who.session is None else set())
        reserved = {*self._decoding.keys(servers), QUANTITY}
        known = [(name, attribute(name, v)) for name, v in said.items() if v is not None]
        opened = self._decoding.opened
        declared = {event: self._decoding.attributes(event) for event, *_ in body.posted}
        own = {
            event: [encoded for name, encoded in known if name in may]
            for event, may in declared.items()
        }
        posts = [posted.post(each, own[each.event], reserved, opened) for each in body.posted]

        async def decoded() -> Batch:
            batch = await self._decoding.posted(self._resource, posts, who.key)
            return replace(
                batch,
                digest=named.name if named else secrets.token_bytes(16),
                content=named.content if named else b"",
                losses=Counter(batch.losses) + body.losses,
            )

        return await self._intake.store(decoded, seen)
