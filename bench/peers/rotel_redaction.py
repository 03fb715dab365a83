"""The bench catalog's attribute rules as a processor in Rotel's own Python SDK (bench/peers).

Rotel's embedded interpreter runs it; the rules come from the environment. A pseudonym is remembered, as
Footfall remembers it.
"""

import hmac
import os
from functools import lru_cache

from rotel_sdk.open_telemetry.common.v1 import AnyValue  # type: ignore[import-not-found]  # Rotel's

ALLOWED = frozenset(os.environ["BENCH_ALLOWED_KEYS"].split(","))
HASHED = os.environ["BENCH_HASHED_KEY"]
SECRET = os.environ["BENCH_HMAC_KEY"].encode()


@lru_cache(4096)
def pseudonym(value: str) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.digest(SECRET, value.encode(), "sha256").hex()


def process_spans(resource_spans):  # type: ignore[no-untyped-def]
    """Rotel calls it with one ResourceSpans at a time, to be changed in place."""
    resource = resource_spans.resource
    resource.attributes = [each for each in resource.attributes if each.key in ALLOWED]
    for scope in resource_spans.scope_spans:
        for span in scope.spans:
            kept = [each for each in span.attributes if each.key in ALLOWED]
            for each in kept:
                if each.key == HASHED:
                    each.value = AnyValue(pseudonym(each.value.value))
            span.attributes = kept
