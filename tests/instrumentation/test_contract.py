"""What the SDK sends is what the collector's policy keeps: nothing is lost between the two."""

import contextlib
import datetime as dt
import uuid
from collections import Counter

import pytest

from footfall_processors import load_catalog
from footfall_processors.atoms import Service
from footfall_processors.policy import Policy


@pytest.fixture
def policy(catalog):
    return Policy(load_catalog(catalog))


def judged(policy, name, failed, attributes):
    """The dimension of a span or point, which the policy must take without any loss."""
    atoms = [policy.classify(key, value) for key, value in attributes.items()]
    verdict = policy.judge(Service(), name, failed, atoms, dt.date(2000, 1, 1))
    assert (verdict.refused, verdict.losses) == (None, ()), attributes
    return verdict.shape.dimension


def use_everything(client) -> None:
    whole = {"guild_id": 2**64 - 1, "user_id": 2**64 - 1, "items": 5, "weight": 1, "gift": False}
    for error in (
        None,
        ValueError,
        TimeoutError,
        PermissionError,
        ConnectionError,
        KeyboardInterrupt,
    ):
        with (
            contextlib.suppress(BaseException),
            client.feature(
                "shop.order", provider="smz3", order_id=uuid.uuid4(), note="a b", **whole
            ),
        ):
            if error is not None:
                raise error
        with contextlib.suppress(BaseException), client.feature("shop.visit", provider="alttpr"):
            if error is not None:
                raise error
    for action in ("invoke", "success", "failure"):
        client.event("shop.order", action)
        client.count("shop.order", 2, action, provider="smz3")
    client.event("shop.lamp", "lit")
    client.count("shop.press", 2)
    client.event("shop.unknown")


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.0])
def test_spans_and_counters_are_kept_whole(connect, received, policy, rate):
    client = connect(received.endpoint, sample_rate=rate)
    use_everything(client)
    assert client.flush()
    travelled: Counter[tuple[str, str, str, str | None]] = Counter()
    for span, sent in zip(received.spans(), received.observations(), strict=True):
        kept = judged(policy, sent.pop("event"), span.status.code == 2, sent)
        assert (kept.action, kept.status) == (sent["feature.action"], sent["feature.status"])
        assert kept.error_type == sent.get("error.type")
        travelled[kept.event, kept.action, kept.status, kept.error_type] += 1
    for key, number in received.counts().items():
        sent = dict(key)
        kept = judged(policy, sent.pop("event"), False, sent)
        assert sent.get("feature.status", kept.status) == kept.status
        assert sent.get("error.type", kept.error_type) == kept.error_type
        travelled[kept.event, kept.action, kept.status, kept.error_type] += number
    assert travelled == {
        ("shop.order", "invoke", "ok", None): 6 + 1 + 2,
        ("shop.order", "success", "ok", None): 1 + 1 + 2,
        ("shop.order", "failure", "error", "unexpected_error"): 1 + 1 + 2,
        ("shop.order", "failure", "error", "provider_unavailable"): 1,
        ("shop.order", "failure", "timeout", "timeout"): 2,
        ("shop.order", "failure", "denied", "permission_denied"): 1,
        ("shop.visit", "visit", "ok", None): 1,
        ("shop.visit", "visit", "error", "unexpected_error"): 1,
        ("shop.visit", "visit", "error", "provider_unavailable"): 1,
        ("shop.visit", "visit", "timeout", "timeout"): 2,
        ("shop.visit", "visit", "denied", "permission_denied"): 1,
        ("shop.lamp", "lit", "ok", None): 1,
        ("shop.press", "invoke", "ok", None): 2,
        ("footfall.emitted", "count", "ok", None): 9 + 4 + 4 + 1 + 2 + 1 + 6 + 1 + 2,
        ("footfall.dropped", "count", "ok", None): 1,
    }
