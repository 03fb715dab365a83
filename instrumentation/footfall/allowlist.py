"""The allowlist as a span processor, for spans that other instrumentations make."""

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from footfall._client import Client, default


class AllowlistSpanProcessor(SpanProcessor):
    """Sends the spans that are named as a declared event, rebuilt from declared fields only.

    Nothing else of a span goes on: no event, link, status message, trace state or trace id, no
    undeclared attribute, and neither its resource nor its scope. It works on any TracerProvider and
    leaves the spans themselves, and the provider's other processors, alone.

    Args:
        client: Where the spans go; None is the client behind `footfall.configure()`. It may be
            configured later: until then nothing is sent.

    Example:
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> provider = TracerProvider()
        >>> provider.add_span_processor(AllowlistSpanProcessor())
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = default if client is None else client

    def on_end(self, span: ReadableSpan) -> None:
        """Sends a finished span, if the catalog declares it."""
        self._client.adopt(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flushes the client; False when it was not done in time."""
        return bool(self._client.flush(timeout_millis / 1000))

    def shutdown(self) -> None:
        """Flushes the client, which may have other users and is not shut down."""
        self._client.flush()
