"""What all receivers share: bytes in, an answer out, whatever the protocol (OTLP specification 1.x)."""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from google.protobuf.message import DecodeError, Message

from footfall_collector.decoding import otlp_json
from footfall_collector.decoding.decoder import Decoder
from footfall_collector.decoding.wire import Take, TooLarge, take_nothing
from footfall_collector.receivers import refusals
from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.refusals import Refusal
from footfall_collector.security.keys import Key
from footfall_collector.signals import Signal
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.telemetry import Request, Telemetry
from footfall_exporters.contracts import Conflict, Losses, Rejected, Unavailable
from footfall_exporters.faults import log_fault
from footfall_processors import REJECTED, Batch, Loss, window

log = logging.getLogger("footfall.receivers")
_ADVICE = {
    Loss.EXPIRED_EVENT: "its `expires` date in the catalog has passed",
    Loss.LOOP: "has been here before: collectors pass it on in a circle",
    Loss.BODY: "has a key `body`",
    Loss.MALFORMED: "could not be parsed, or ends before it starts",
}


class Intake:
    """Decodes, stores and answers.

    Args:
        consume: The exporter's.
        gate: Who may come in; everyone without one.
        telemetry: Where requests are counted.
        past: How old an event may be.

    Attributes:
        gate: As given.
        telemetry: As given.
    """

    def __init__(
        self,
        consume: Callable[[Batch], Awaitable[Losses | None]],
        gate: Gate | None = None,
        telemetry: Telemetry | None = None,
        past: dt.timedelta = window.PAST,
    ) -> None:
        ahead = f"{window.FUTURE.seconds // 60} minutes"
        times = f"times must be within {_span(past)} before and {ahead} after now"
        self._advice = _ADVICE | {Loss.OUT_OF_WINDOW: times}
        self._consume = consume
        self.gate = gate or Gate()
        self.telemetry = telemetry or Telemetry("")

    async def export(
        self,
        decoder: Decoder,
        body: bytes,
        seen: Request,
        *,
        key: Key | None = None,
        json: bool = False,
        take: Take = take_nothing,
    ) -> Message:
        """The Export*ServiceResponse, once everything accepted is durable.

        Args:
            decoder: Of the signal that is sent.
            body: Decompressed; not kept for longer than it takes to decode it, if the caller does not.
            seen: Counts it.
            key: The sender's.
            json: Whether the body is OTLP/JSON; protobuf otherwise.
            take: Counts what a long one has in memory beside its body.

        Raises:
            Refusal: nothing of the request is stored. An unforeseen error is answered as retryable:
                the sender would drop its data on anything else.
        """

        async def decoded() -> Batch:
            nonlocal body
            groups = await otlp_json.groups(decoder.signal.name, body, take) if json else None
            batch = await decoder.decode(body, key, groups, take)
            body = b""  # the commit can be far, and what it needs is in the batch
            return batch

        return _answer(decoder.signal, await self.store(decoded, seen), self._advice)

    async def store(self, decode: Callable[[], Awaitable[Batch]], seen: Request) -> Batch:
        """What `decode` gives, once it is durable; of a retry with the losses of the first time.

        Args:
            decode: Reads the request.
            seen: Counts it.

        Raises:
            Refusal: nothing of the request is stored. An unforeseen error is answered as retryable:
                the sender would drop its data on anything else.
        """
        try:
            batch = await decode()
            seen.decoded(batch)
            if batch.misnamed:
                raise refusals.denied(
                    "this key may not send for the service that the resource names"
                )
            before = await self._consume(batch)
            if before is not None:
                seen.repeated(batch)
                batch = replace(batch, losses=before)
        except TooLarge as error:
            raise refusals.too_large(str(error)) from None
        except DecodeError:
            message = "the body is not a valid OTLP request of this signal"
            raise refusals.invalid(message) from None
        except Conflict as error:
            raise refusals.invalid(str(error), 422) from None
        except Rejected as error:
            raise refusals.invalid(str(error), reason=Refused.STORE) from None
        except Unavailable as error:
            raise refusals.unavailable(str(error), error.retry_after) from None
        except Refusal:
            raise
        except Exception as error:
            log_fault(log, f"a {seen.way.signal} request failed", error)
            raise refusals.internal() from None
        return batch


def _answer(signal: Signal, batch: Batch, advice: Mapping[Loss, str]) -> Message:
    response = signal.response()
    if batch.rejected:
        partial = getattr(response, "partial_success")  # noqa: B009  # every response has it
        setattr(partial, signal.rejected, batch.rejected)
        reasons = ((r, n) for r, n in sorted(batch.losses.items()) if r in REJECTED)
        partial.error_message = "; ".join(f"{r}: {n} ({advice[r]})" for r, n in reasons)
    return response


def _span(past: dt.timedelta) -> str:
    """In days, or in hours where it is no number of days."""
    days, rest = divmod(past, dt.timedelta(days=1))
    return f"{past // dt.timedelta(hours=1)} hours" if rest else f"{days} days"
