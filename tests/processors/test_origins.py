import datetime as dt

import pytest

from footfall_processors import Loss, Policy, Service
from footfall_processors.atoms import LOOP
from processors.policies import CATALOG

HERE, OTHER = "a1" * 8, "b2" * 8


@pytest.mark.parametrize(
    ("sent", "kept", "bad"),
    [
        (None, None, 0),
        (OTHER, OTHER, 0),
        (f"{OTHER},{OTHER}", f"{OTHER},{OTHER}", 0),
        (",".join([OTHER] * 8), ",".join([OTHER] * 8), 0),
        (",".join([OTHER] * 9), LOOP, 0),
        (HERE, LOOP, 0),
        (f"{OTHER},{HERE},{OTHER}", LOOP, 0),
        ("loop", None, 1),
        ("someone@example.org", None, 1),
        (OTHER.upper(), None, 1),
        (f"{OTHER},", None, 1),
        (OTHER * 2, None, 1),
        (7, None, 1),
        ([OTHER], None, 1),
    ],
)
def test_markers_are_kept_and_ones_own_is_a_loop(sent, kept, bad):
    policy = Policy(CATALOG, origin=HERE)
    resource = {} if sent is None else {"footfall.origin": sent}
    service, dropped = policy.service({"service.name": "shop", **resource})
    assert (service.relayed_from, dropped) == (kept, (Loss.RESOURCE_VALUE,) * bad)
    assert service.name == (None if kept == LOOP else "shop")
    verdict = policy.judge(service, "discord.generator", False, (), dt.date(2026, 1, 1))
    assert (verdict.refused == Loss.LOOP) == (kept == LOOP)
    if kept != LOOP:
        assert verdict.shape.dimension.relayed_from == kept


def test_a_loop_is_known_when_there_are_too_many_senders_as_well():
    policy = Policy(CATALOG, origin=HERE)
    for number in range(3000):
        policy.admit(Service(f"s{number}"), b"", 0)
    service, _ = policy.service({"footfall.origin": HERE})
    assert policy.admit(service, b"", 0) == (service, ())
    assert service.relayed_from == LOOP


@pytest.mark.parametrize(
    ("said", "kept"), [("footfall", "footfall"), ("Footfall", None), ("other", None), (1, None)]
)
def test_only_that_the_sdk_is_footfalls_is_kept_of_its_name(policy, said, kept):
    service, bad = policy.service({"telemetry.distro.name": said})
    assert (service.telemetry_distro, bad) == (kept, ())
