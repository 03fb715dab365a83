"""Sub-interpreters: what imports Footfall in one goes on, and so does the process when it ends."""

import inspect
import socket
import textwrap

import pytest

from footfall._consent.absent import Absent
from footfall._consent.consent import Consent
from instrumentation import programs

RUN = """
    import sys
    try:
        import _interpreters as interpreters
        made = interpreters.create({kind!r})
    except ImportError:
        import _xxsubinterpreters as interpreters
        made = interpreters.create(isolated={kind!r} == "isolated")
    failed = interpreters.run_string(made, {code!r})
    assert failed is None, failed
    if {destroyed}:
        interpreters.destroy(made)
    print("over", flush=True)
"""
USES = """
    import footfall

    footfall.configure({catalog!r}, {endpoint!r}, enabled={enabled})

    @footfall.feature("shop.order")
    def order():
        footfall.current().set(provider="smz3")
        return "ordered"

    assert order() == "ordered"
    with footfall.feature("shop.order", provider="smz3") as use:
        use.fail()
    footfall.event("shop.visit")
    footfall.count("shop.lamp", 3, "lit")
    with footfall.session("shop.visit"):
        footfall.current().set(provider="smz3")
    footfall.flush()
"""
INSTRUMENTS = """
    import footfall

    footfall.instrument_fastapi(object())
    assert footfall.instrument_asgi(print) is print
    footfall.instrument_flask(object())
    footfall.instrument_django()
    footfall.instrument_discord(object())
    assert footfall.instrument_racetime(dict) is dict
    assert footfall.route_event("shop.order")(print) is print
    footfall.NoOpTelemetryService().record
"""
ASKS = """
    import logging, footfall

    footfall.configure({catalog!r}, {endpoint!r}, enabled=True, consent=True)
    consent = footfall.consent
    for number in range(2):
        consent.grant()
        consent.nudged()
        consent.never_again()
        consent.forget()
        consent.revoke()
    assert consent.state().mode == "off"
    assert not consent.state().decided
    assert consent.changes() == [] and consent.store is None
    assert consent.installation_id() is None
    assert consent.nudge_due(30, blocked=True) is False
    footfall.event("shop.visit")
"""
AS_MOD_WSGI = """
    import sys, types
    sys.modules["mod_wsgi"] = types.ModuleType("mod_wsgi")
    {uses}
    session = footfall.session("shop.visit", heartbeat=300)
    session.start()
    import atexit
    atexit._run_exitfuncs()
"""


def run(kind, code, destroyed=True, **variables):
    """The standard error of a program that runs `code` in a sub-interpreter, and ends well."""
    program = RUN.format(kind=kind, code=textwrap.dedent(code), destroyed=destroyed)
    done = programs.run("-W", "ignore", "-c", textwrap.dedent(program), **variables)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
    return done.stderr


@pytest.mark.parametrize("destroyed", [True, False])
@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_telemetry_stays_off_in_a_sub_interpreter_and_says_so(catalog, received, kind, destroyed):
    uses = USES.format(catalog=str(catalog), endpoint=received.endpoint, enabled=True)
    said = run(kind, uses, destroyed)
    assert said.startswith("footfall is off")
    assert "sub-interpreter" in said
    assert received.bytes == b""


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_nobody_is_asked_in_a_sub_interpreter(catalog, received, tmp_path, kind):
    code = ASKS.format(catalog=str(catalog), endpoint=received.endpoint)
    said = run(kind, code, HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "settings"))
    assert said.count("ask in the main interpreter") == 1
    assert not (tmp_path / "settings").exists()
    assert received.bytes == b""


def test_what_stands_for_consent_there_has_all_that_one_has():
    public = {name for name in vars(Consent) if not name.startswith("_")}
    kept_for_footfall = {"stamp", "forgotten", "cleaned", "clean_store", "renew_receipt", "erased"}
    assert {name for name in dir(Absent) if not name.startswith("_")} == (
        public - kept_for_footfall | {"store"}
    )
    for name in public - kept_for_footfall:
        ours, theirs = (inspect.signature(getattr(each, name)) for each in (Absent, Consent))
        assert list(ours.parameters.values()) == list(theirs.parameters.values())


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_nothing_is_instrumented_in_a_sub_interpreter(kind):
    assert run(kind, INSTRUMENTS) == ""


def test_a_sub_interpreter_without_telemetry_is_told_nothing(catalog):
    assert run("isolated", USES.format(catalog=str(catalog), endpoint="", enabled=None)) == ""


def test_a_server_that_ends_its_interpreters_in_order_gets_telemetry(catalog, received):
    uses = USES.format(catalog=str(catalog), endpoint=received.endpoint, enabled=True)
    assert run("legacy", AS_MOD_WSGI.format(uses=uses)) == ""
    assert [each["event"] for each in received.observations()].count("shop.order") == 2
    assert received.count("shop.lamp") == 3


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_such_an_interpreter_ends_after_its_threads_when_no_collector_answers(catalog, protocol):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        uses = USES.format(catalog=str(catalog), endpoint=endpoint, enabled=True)
        said = run(
            "legacy",
            AS_MOD_WSGI.format(uses=uses),
            FOOTFALL_PROTOCOL=protocol,
            FOOTFALL_TIMEOUT="4",
        )
    assert "Fatal" not in said
