"""What resources may say of their services: nothing that nobody declared and that looks personal."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_processors import DocumentError, Loss, Policy, Service, load_catalog
from footfall_processors.catalog import Catalog, Event, with_builtins
from footfall_processors.combinations import COMBINATIONS, IDLE_US, NAMES, NEWCOMERS

VALUE, UNLISTED, PERSONAL, LIMIT = (
    Loss.RESOURCE_VALUE, Loss.RESOURCE_UNLISTED, Loss.RESOURCE_PERSONAL, Loss.RESOURCE_LIMIT,
)  # fmt: skip
NAME, VERSION = "service.name", "service.version"
ENVIRONMENT, OLD = "deployment.environment.name", "deployment.environment"


def make(services=(), environments=(), product="shop"):
    events = {"shop.order": Event(surface="web", feature="tracker")}
    return Policy(
        with_builtins(
            Catalog(
                products=(product,), events=events, attributes={}, services=services,
                environments=environments,
            )
        )
    )  # fmt: skip


POLICY = make()


def kept(policy, **resource):
    service, losses = policy.service(resource)
    return service[:3], losses


def name_of(policy, sent):
    (name, *_), losses = kept(policy, **{NAME: sent})
    return name, *losses


def version_of(sent):
    (_, version, _), losses = kept(POLICY, **{VERSION: sent})
    return version, *losses


def environment_of(policy, sent, key=ENVIRONMENT):
    (_, _, environment), losses = kept(policy, **{key: sent})
    return environment, *losses


def each(words):
    return words.split()


USUAL_NAMES = each("""
    shop web api bot worker-3 checkout payments-eu-1 user-service users-api UserService shop.api
    shop/api-v2 acme-shop acme_billing noise1099 unknown_service oauth2-proxy order-tracker service0
    SHOP-API admin-ui customer-profile-api admin-panel contosoCheckout loyalty
""")


@pytest.mark.parametrize("name", USUAL_NAMES)
def test_usual_names_of_services_are_kept(name):
    assert name_of(POLICY, name) == (name,)


@pytest.mark.parametrize(
    "name",
    each("""
        home/user.one/projects/divorce Users/walker/shop ~walker var/lib/walker USER-ONE-LAPTOP
        mbp-von-walker raspberrypi-walker walker-ubuntu
        walkers-macbook DESKTOP-4F2K9QX WIN-8K3J2H1 walker-pc laptop.local walker.example.org
        host-1.lan ip-10-0-0-12 web-10-0-0-1 web_10_0_0_1 fritz.box user.one user-one user1 user_42
        UserOne admin-walker web-7d4b9c6f5-x2x9z i-0abc12def a45e60c2f1aa web-20261122103045
        tel5551234567 service-5551234 walker@example.org 203.0.113.77 walkers-iphone
        rechner-von-walker ordinateur-walker portatil-de-walker komputer-walkera benutzer/walker
    """),
)  # fmt: skip
def test_names_that_look_personal_are_dropped(name):
    assert name_of(POLICY, name) in ((None, PERSONAL), (None, VALUE))


@pytest.mark.parametrize(
    "name", ["x" * 64, "1st", "bot\n", "", 5, ["bot"], "Walker's laptop", "ørjan"]
)
def test_what_is_no_name_is_dropped(name):
    assert name_of(POLICY, name) == (None, VALUE)


def test_a_products_own_name_is_declared():
    assert name_of(make(product="user-one"), "user-one") == ("user-one",)
    assert name_of(make(("web",), product="user-one"), "user-one") == ("user-one",)


@pytest.mark.parametrize(
    "version",
    each("""
        1.2.3 v1.2.3-rc.1+build.5 7 1.0.1001 2026-11-22 2026.11.22.1 20261122 20261122103045 1.0.0.0
        4.8.4515.0 v0.0.0-20191109021931-daa7c04131f5 a1b2c3d 1.8.0_292 0.66b2 1.2.3-SNAPSHOT
        1.2.3-1ubuntu2 main-a1b2c3d4 1.2.3-dev 1.2.3.dev0+g9c4e71b.dirty release-41 r1234 latest
        1.2.3-shop 1.2.3-linux-arm64
    """),
)  # fmt: skip
def test_versions_have_their_forms(version):
    assert version_of(version) == (version,)


@pytest.mark.parametrize(
    "version",
    [*each("""
        user.one 1.2.3-walker 1.2.3+walker.pc walker v01712345678 +491712345678 0171.234.5678
        0171-2345678 203.0.113.77 v192.0.2.1 10.0.0.1 757365722d6f6e65406578616d706c65 614062402e69
        walker@example.org 123456789012345678 1.2.3/home/walker 2012345678 5551234567 1.2.3-laptop
        é1 build-on-walkers-mac 3fa85f64-5717-4562-b3fc-2c963f66afa6
    """), "x" * 41, "", 5, "1.2 walker"],
)  # fmt: skip
def test_other_versions_are_dropped(version):
    assert version_of(version) in ((None, PERSONAL), (None, VALUE))


@pytest.mark.parametrize(
    "name", ["production", "prod-eu-west-1", "staging-2", "Test", "local", "shop-prod", "qa"]
)
@pytest.mark.parametrize("key", [ENVIRONMENT, OLD])
def test_usual_environments_are_kept(name, key):
    assert environment_of(POLICY, name, key) == (name,)


def test_the_newer_name_of_the_environment_counts():
    assert kept(POLICY, **{OLD: "staging", ENVIRONMENT: "test"}) == ((None, None, "test"), ())


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("user-ones-laptop.local", PERSONAL),
        ("walker.dev", PERSONAL),
        ("dev-walker", UNLISTED),
        ("Walker", UNLISTED),
        ("not good", VALUE),
        ("home/walker", PERSONAL),
        ("prod-5551234567", PERSONAL),
    ],
)
def test_other_environments_are_dropped(name, loss):
    assert environment_of(POLICY, name) == (None, loss)


def test_a_list_lets_pass_what_it_names_and_nothing_else():
    listed = make(("user.one", "worker-*"), ("walker", "demo-*"))
    assert name_of(listed, "user.one") == ("user.one",)
    assert name_of(listed, "worker-eu_3") == ("worker-eu_3",)
    assert name_of(listed, "web") == (None, UNLISTED)
    assert name_of(listed, "worker-") == (None, UNLISTED)
    assert name_of(listed, "worker-" + "x" * 21) == (None, UNLISTED)
    assert name_of(listed, "userxone") == (None, UNLISTED)
    assert environment_of(listed, "walker") == ("walker",)
    assert environment_of(listed, "demo-zebrawood") == ("demo-zebrawood",)
    assert environment_of(listed, "production") == (None, UNLISTED)


@pytest.mark.parametrize(
    "name", ["worker-walkers-laptop", "worker-10-0-0-1", "worker-5551234567", "worker-4f2k9qx"]
)
def test_what_a_star_stands_for_may_not_look_personal(name):
    assert name_of(make(("worker-*",)), name) == (None, PERSONAL)


@given(st.text(max_size=70) | st.integers() | st.none() | st.lists(st.text(max_size=3), max_size=2))
def test_whatever_is_sent_is_kept_as_it_is_or_dropped_and_counted(sent):
    for key in (NAME, VERSION, ENVIRONMENT):
        service, losses = kept(POLICY, **{key: sent})
        assert set(service) <= {sent, None} if isinstance(sent, str) else set(service) == {None}
        assert len(losses) == (sent is not None and set(service) == {None})


# How many services one sender may name.


def test_versions_are_given_up_before_names():
    for build in range(COMBINATIONS):
        service = Service("web", f"1.0.{build}", "prod")
        assert POLICY.admit(service, b"a", 0) == (service, ())
    newest = Service("web", "1.0.1000", "prod")
    assert POLICY.admit(newest, b"a", 0) == (newest._replace(version=None), (LIMIT,))
    assert POLICY.admit(Service("web", "1.0.0", "prod"), b"a", 0)[1] == ()


def test_no_sender_takes_anything_from_another():
    policy = make()
    for number in range(3 * NAMES):
        policy.admit(Service(f"n{number}", "1.0"), b"a", 0)
    service = Service("web", "2.0")
    assert policy.admit(service, b"b", 0) == (service, ())
    assert policy.admit(service, b"a", 0) == (Service("web"), (LIMIT,))


def test_what_is_not_seen_for_a_day_makes_room():
    policy = make()
    for number in range(COMBINATIONS):
        policy.admit(Service("web", f"1.0.{number}"), b"", 0)
    service = Service("web", "2.0")
    policy.admit(Service("web", "1.0.0"), b"", IDLE_US)
    assert policy.admit(service, b"", IDLE_US)[1] == (LIMIT,)
    assert policy.admit(service, b"", IDLE_US + 1) == (service, ())
    assert len(policy._senders[b""]._whole) == 2


def test_new_names_take_the_place_of_those_not_seen_for_longest_and_of_so_many_a_day():
    policy = make()
    for number in range(COMBINATIONS + NAMES):
        policy.admit(Service(f"n{number}"), b"", 0)
    lost = Counter()
    for number in range(NEWCOMERS + 5):
        service, losses = policy.admit(Service(f"late{number}"), b"", 1)
        lost[service.name is None] += 1
        assert losses == (LIMIT,) * (service.name is None)
    assert lost == {False: NEWCOMERS, True: 5}
    assert policy.admit(Service(f"late{NEWCOMERS - 1}"), b"", 2)[0].name
    assert len(policy._senders[b""]._names) == NAMES
    assert policy.admit(Service("tomorrow"), b"", IDLE_US)[0].name == "tomorrow"


def test_who_says_nothing_takes_no_room():
    policy = make()
    assert policy.admit(Service(), b"", 0) == (Service(), ())
    assert not policy._senders


# The lists in a catalog.

HEAD = "product: shop\nevents: {shop.order: {surface: web, feature: order}}\n"


def test_lists_of_several_products_are_joined(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(HEAD + "services: [web, worker-*]\nenvironments: [prod]\n")
    second.write_text(
        "product: bot\nevents: {bot.go: {surface: web, feature: go}}\nservices: [bot-eu]\n"
    )
    catalog = load_catalog([first, second])
    assert catalog.services == ("bot-eu", "web", "worker-*")
    assert catalog.environments == ("prod",)
    for name in ("web", "bot-eu", "shop", "bot"):
        assert name_of(Policy(catalog), name) == (name,)


@pytest.mark.parametrize(
    ("line", "path", "message"),
    [
        ("services: ['*']", "services.0", "would let every name pass"),
        ("services: [web, web]", "services.1", '"web" stands twice'),
        ("environments: [a-*-*]", "environments.0", "may have one `*`"),
        ("services: ['my shop']", "services.0", "must be 1 to 63 letters"),
        ("services: web", "services", "expected list"),
    ],
)
def test_mistakes_in_a_list_are_named(tmp_path, line, path, message):
    file = tmp_path / "events.yaml"
    file.write_text(HEAD + line + "\n")
    with pytest.raises(DocumentError) as caught:
        load_catalog(file)
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.line) == (path, 3)
    assert message in mistake.message
