"""The fixtures that applications use in their own tests, in real pytest runs."""

import textwrap

import pytest

import footfall
from footfall.testing import capture
from instrumentation import programs

APPLICATION = """
import footfall

class PresetError(ValueError): ...

def start():
    errors = {PresetError: "invalid_preset"}
    footfall.configure("events.yaml", "http://127.0.0.1:9", enabled=False, errors=errors)

@footfall.feature("shop.order", provider="smz3")
def order(fails=False):
    footfall.count("shop.lamp", 3, "lit")
    if fails:
        raise PresetError("of walker@example.org")
"""


@pytest.fixture
def run(tmp_path, catalog):
    """Runs a test of an application by pytest; returns the exit code and what was printed."""
    (tmp_path / "app.py").write_text(APPLICATION)

    def run(test, *, configuration="", **variables):
        (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{configuration}\n")
        (tmp_path / "test_app.py").write_text("import app, footfall\n" + textwrap.dedent(test))
        done = programs.pytest(tmp_path, **variables)
        return done.returncode, done.stdout + done.stderr

    return run


def test_what_the_application_would_send_is_captured_and_asserted(run):
    code, out = run(
        """
        import pytest

        def test_order(captured_telemetry):
            app.start()
            app.order()
            with pytest.raises(app.PresetError):
                app.order(fails=True)
            captured_telemetry.assert_sent("shop.order", "invoke", times=2)
            captured_telemetry.assert_sent("shop.order", "success", provider="smz3", times=1)
            captured_telemetry.assert_sent("shop.lamp", times=6)
            good, bad = captured_telemetry.observations
            assert (good.event, good.action) == ("shop.order", "success")
            assert (good.status, good.error_type) == ("ok", None)
            assert (bad.action, bad.status, bad.error_type) == ("failure", "error", "invalid_preset")
            assert good.attributes == {"provider": "smz3"} and good.duration_ms > 0
            assert captured_telemetry.count("shop.order") == 4
            assert captured_telemetry.dropped() == {}

        def test_nothing_is_left_of_another_test(captured_telemetry):
            assert captured_telemetry.observations == []
            app.start()
            assert captured_telemetry.count("shop.lamp") == 0
        """,
        TELEMETRY_ENABLED="false",
        OTEL_SDK_DISABLED="true",
        DO_NOT_TRACK="1",
    )
    assert code == 0, out
    assert "2 passed" in out


def test_an_assertion_that_fails_says_what_was_sent(run):
    code, out = run(
        """
        def test_order(captured_telemetry):
            app.start()
            app.order()
            captured_telemetry.assert_sent("shop.order", "failure")
        """
    )
    assert code == 1
    assert "shop.order failure was sent 0 times instead of at least once" in out
    assert "Observation(event='shop.order', action='success'" in out


def test_a_catalog_can_be_named_in_the_configuration(run):
    code, out = run(
        """
        def test_order(strict_telemetry):
            app.order()
            strict_telemetry.assert_sent("shop.order", "success")
        """,
        configuration="footfall_catalog = events.yaml",
    )
    assert code == 0, out


WRONG = {
    'footfall.event("shop.ordr")': 'did you mean "shop.order"?',
    'footfall.event("shop.order", providr="smz3")': 'did you mean "provider"?',
    'footfall.event("shop.order", provider="walker")': "must be one of alttpr, smz3",
    'footfall.count("shop.order", 0)': "wrong_type: 1",
}
"""Calls that the catalog does not allow, and what is said about each."""


def test_the_strict_fixture_fails_on_what_the_catalog_does_not_allow(run):
    tests = [
        f"def test_{number}(strict_telemetry):\n    app.start()\n    {call}\n"
        for number, call in enumerate(WRONG)
    ]
    code, out = run("\n".join(tests))
    assert code == 1
    _, *told = out.split("telemetry that the catalog does not allow:")
    for message, text in zip(WRONG.values(), told[: len(WRONG)], strict=True):
        text = text.split("-- Captured")[0]
        assert message in text
        assert "walker" not in text


def test_the_strict_fixture_asks_the_collectors_own_policy(tmp_path):
    """An event that has expired is sent by the SDK, and refused by the collector."""
    file = tmp_path / "events.yaml"
    file.write_text(
        "product: shop\nevents:\n  shop.old: {surface: web, feature: old, expires: 2020-01-01}\n"
    )
    with capture(file) as captured:
        footfall.event("shop.old")
        assert [each.event for each in captured.observations] == ["shop.old"]
        assert captured.mistakes() == ["shop.old: the collector counts it as expired_event"]
    with capture(file) as captured:
        assert captured.mistakes() == []


def test_capturing_ends_and_an_isolated_client_is_not_touched(catalog):
    isolated = footfall.Client()
    with capture(catalog) as captured:
        isolated.event("shop.order")
        assert captured.observations == []
        footfall.event("shop.order")
        assert len(captured.observations) == 1
    assert footfall.default.recorder is None
    with capture(catalog, isolated) as captured:
        isolated.event("shop.order")
        footfall.event("shop.order")
        assert len(captured.observations) == 1


def test_pytest_starts_without_opentelemetry(run):
    code, out = run(
        """
        import sys

        def test_it():
            assert not any(name.startswith("opentelemetry") for name in sys.modules)
        """
    )
    assert code == 0, out


def test_an_application_may_configure_twice_and_tests_may_nest(catalog, received):
    with capture() as outer:
        for _ in range(2):
            footfall.configure(catalog, received.endpoint, enabled=True)
            footfall.event("shop.order")
        with capture(catalog) as inner:
            footfall.event("shop.visit")
            assert [each.event for each in inner.observations] == ["shop.visit"]
        footfall.configure(catalog, received.endpoint, enabled=True)
        footfall.event("shop.order")
        assert [each.event for each in outer.observations] == ["shop.order"] * 3
        assert outer.mistakes() == []
    assert received.spans() == []


def test_a_program_that_asks_its_user_is_captured_without_asking(catalog):
    with capture() as captured:
        footfall.configure(catalog, consent=True)
        footfall.consent.grant()
        footfall.event("shop.order")
        captured.assert_sent("shop.order")
        assert captured.mistakes() == []


def test_telemetry_that_was_never_on_is_a_mistake():
    with capture() as captured:
        footfall.event("shop.order")
        (told,) = captured.mistakes()
    assert "never on" in told
