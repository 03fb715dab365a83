"""The file of a decision: as it may be found, not writable, and with several programs at once."""

import fcntl
import json
import os
import pwd
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall import Client
from footfall._consent import saving
from footfall._consent.consent import Consent
from footfall._consent.store import LocalStore
from footfall._decision import State
from footfall.sessions import session
from instrumentation.consent.conftest import TODAY, UNDECIDED, finish, tree

PATIENT = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def granted(consent, decision):
    """The content of a file in which the user agreed."""
    consent.grant()
    consent.installation_id()
    return decision.read_bytes()


def assert_undecided_and_usable(consent):
    assert consent.state() == UNDECIDED
    assert consent.installation_id() is None
    assert consent.nudge_due()
    consent.grant()
    assert consent.state() == State("on", True, False, TODAY)


def test_half_a_file_is_no_yes(consent, decision, granted):
    for length in (*range(0, len(granted), 9), len(granted) - 1):
        decision.write_bytes(granted[:length])
        assert consent.state() == UNDECIDED
    assert_undecided_and_usable(consent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b'"version":1', b'"version":1,"more":true'),
        (b'"mode":"on"', b'"mode":"always"'),
        (b'"mode":"on",', b""),
        (b'"scope":{', b'"scope":{"further":1,'),
        (b'"type":"granted"', b'"type":"assumed"'),
        (b'"since":"', b'"since":"never'),
    ],
)
def test_a_file_that_is_not_quite_understood_is_no_yes(consent, decision, granted, old, new):
    assert granted.count(old) == 1
    decision.write_bytes(granted.replace(old, new))
    assert_undecided_and_usable(consent)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"true",
        b'{"enabled": true}',
        b"\x00" * 99,
        b"\xff\xfe{}",
        b"[" * 99_999,
    ],
)
def test_something_else_in_its_place_is_no_yes(consent, decision, content):
    decision.parent.mkdir(parents=True)
    decision.write_bytes(content)
    assert_undecided_and_usable(consent)


@PATIENT
@given(st.binary(max_size=200), st.data())
def test_no_content_raises(consent, decision, content, data):
    consent.grant()
    text = decision.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    decision.write_bytes(text[:start] + content + text[start + len(content) :])
    consent.state(), consent.changes(), consent.nudge_due(), consent.installation_id()
    decision.write_bytes(content)
    assert consent.state() == UNDECIDED


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/")],
)
def test_what_is_no_file_in_its_place_is_no_yes(consent, decision, make):
    decision.parent.mkdir(parents=True)
    make(decision)
    assert_undecided_and_usable(consent)


# Places that cannot be written.


@pytest.fixture(
    params=["home is missing", "no home", "no folder can be made", "a file is in the way"]
)
def unwritable(request, home, monkeypatch):
    match request.param:
        case "home is missing":
            home.rmdir()
        case "no home":
            monkeypatch.delenv("HOME")
            monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # as for a user without an account
        case "no folder can be made":
            monkeypatch.setenv("XDG_CONFIG_HOME", "/proc")
        case "a file is in the way":
            (home / ".config").touch()


def test_what_cannot_be_saved_holds_for_this_program_after_one_warning(
    unwritable, allowed, tmp_path, home, caplog
):
    before = tree(tmp_path)
    consent = Consent("shop", allowed)
    assert consent.state() == UNDECIDED
    consent.grant()
    assert consent.state() == State("on", True, False, TODAY)
    first = consent.installation_id()
    assert first == consent.installation_id() is not None
    consent.nudged()
    consent.forget()
    assert first != consent.installation_id()
    assert Consent("shop", allowed).state() == UNDECIDED
    consent.revoke()
    assert consent.state() == State("off", True, False, TODAY)
    assert consent.installation_id() is None
    assert tree(tmp_path) == before
    (record,) = [r for r in caplog.records if "saved" in r.getMessage()]
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    assert str(home) not in caplog.text


def test_a_place_that_can_be_written_again_is_written(allowed, home, caplog):
    (home / ".config").touch()
    consent = Consent("shop", allowed)
    consent.grant()
    (home / ".config").unlink()
    consent.installation_id()
    assert Consent("shop", allowed).installation_id() == consent.installation_id() is not None


# Several programs at once.


START = """
    import sys
    from footfall._consent.consent import Consent
    from footfall_processors import load_catalog
    consent = Consent("shop", load_catalog(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
"""


def start(spawn, catalog, code, number=1):
    """Programs that begin the same code in the same moment."""
    processes = [spawn(START + code, catalog) for _ in range(number)]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_programs_that_start_together_have_the_same_installation_id(consent, catalog, spawn):
    consent.grant()
    processes = start(spawn, catalog, "    print(consent.installation_id())", 4)
    assert {finish(process).strip() for process in processes} == {consent.installation_id()}


def test_a_no_is_never_undone_by_what_another_program_writes(consent, catalog, spawn, decision):
    busy = start(
        spawn,
        catalog,
        """
    while not sys.stdin.closed:
        consent.nudged(), consent.installation_id(), consent.forget()
        """,
        2,
    )
    for _ in range(40):
        consent.grant()
        consent.installation_id()
        consent.revoke()
        time.sleep(0.003)
        assert consent.state().mode == "off"
    for process in busy:
        process.kill()
        process.wait()
    assert consent.state() == State("off", True, False, TODAY)
    assert "installation" not in decision.read_text()


def test_a_program_that_is_killed_leaves_a_whole_file(consent, catalog, spawn, decision):
    consent.grant()
    for delay in (0.01, 0.05):
        (process,) = start(
            spawn, catalog, "    while True: consent.forget(), consent.installation_id()"
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert consent.state() == State("on", True, False, TODAY)
        consent.nudged()
    assert set(os.listdir(decision.parent)) <= {"shop.json", "shop.json.new"}
    consent.revoke()
    assert os.listdir(decision.parent) == ["shop.json"]


def test_a_program_that_hangs_while_it_writes_holds_nobody_up(consent, decision, monkeypatch):
    monkeypatch.setattr(saving, "PATIENCE", 0.2)
    consent.nudged()
    lock = os.open(decision.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    before = time.monotonic()
    consent.revoke()
    assert time.monotonic() - before < saving.PATIENCE + 10  # the lock is kept for ever
    os.close(lock)
    assert json.loads(decision.read_text())["decision"]["type"] == "revoked"


# Links, leftovers, and files of somebody else.


def test_a_link_to_the_file_is_read_and_replaced_by_a_file(consent, decision, tmp_path, granted):
    """As programs keep it that manage dotfiles."""
    target = tmp_path / "dotfiles.json"
    decision.replace(target)
    decision.symlink_to(target)
    assert consent.state().mode == "on"
    consent.revoke()
    assert consent.state().mode == "off"
    assert not decision.is_symlink()
    assert target.read_bytes() == granted


def test_what_was_left_in_the_way_of_writing_is_removed_and_not_followed(
    consent, decision, tmp_path
):
    victim = tmp_path / "victim"
    victim.write_text("dear")
    decision.parent.mkdir(parents=True)
    decision.with_name("shop.json.new").symlink_to(victim)
    consent.grant()
    assert consent.state().mode == "on"
    assert victim.read_text() == "dear"
    assert os.listdir(decision.parent) == ["shop.json"]


def test_a_store_behind_a_link_is_deleted_where_it_is(consent, kept, tmp_path):
    consent.grant("local")
    target = tmp_path / "elsewhere.sqlite"
    LocalStore(target)
    kept.parent.mkdir(parents=True)
    kept.symlink_to(target)
    consent.revoke()
    assert not target.exists()
    assert not kept.is_symlink()


NOBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else"
)


@pytest.fixture
def shared(allowed):
    """A folder that somebody who is not root can enter, and a consent that is kept in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        os.chown(folder, NOBODY, NOBODY)
        yield Path(folder), Consent("shop", allowed, Path(folder))


@contextmanager
def being(user):
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@as_root
def test_nobody_agrees_for_another_but_his_no_counts(shared):
    folder, consent = shared
    consent.grant()
    os.chown(folder / "shop.json", 1234, 1234)
    os.chmod(folder / "shop.json", 0o644)
    with being(NOBODY):
        assert consent.state() == UNDECIDED
        assert consent.installation_id() is None
    assert consent.state().mode == "on", "root acts for whom he will"
    consent.revoke()
    os.chown(folder / "shop.json", 1234, 1234)
    os.chmod(folder / "shop.json", 0o644)
    with being(NOBODY):
        assert consent.state() == State("off", True, False, TODAY)


@as_root
def test_a_file_that_cannot_be_read_is_no_yes(shared):
    folder, consent = shared
    with being(NOBODY):
        consent.grant()
        assert consent.state().mode == "on"
    os.chown(folder / "shop.json", 1234, 1234)
    with being(NOBODY):
        assert consent.state() == UNDECIDED


@as_root
def test_what_root_notes_in_the_home_of_a_user_is_that_users(shared, allowed):
    """`sudo` with the user's home: his own programs can read and change it afterwards."""
    folder, _ = shared
    home = folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    inner = Consent("shop", allowed, home / ".config" / "footfall")
    inner.revoke()
    inner.never_again()
    with being(NOBODY):
        assert inner.state() == State("off", True, False, TODAY)
        assert not inner.nudge_due(days=0)
        inner.grant("local")
        assert inner.state().mode == "local"
    LocalStore(inner.store)
    owners = {path.stat().st_uid for path in home.rglob("*")}
    assert owners == {NOBODY}


# Where the home is read-only, what is said holds until another program can write.


def test_what_could_not_be_saved_gives_way_to_what_is_said_later(unwritable_once, allowed):
    consent = Consent("shop", allowed)
    consent.grant()
    assert consent.state().mode == "on"
    unwritable_once()
    Consent("shop", allowed).revoke()
    assert consent.state().mode == "off"


def test_a_no_that_could_not_be_saved_holds_whatever_another_program_writes(
    unwritable_once, allowed
):
    consent, other = Consent("shop", allowed), Consent("shop", allowed)
    consent.revoke()
    unwritable_once()
    other.grant()
    assert other.installation_id()
    assert consent.state() == State("off", True, False, TODAY)
    consent.grant()
    assert consent.state().mode == "on"


def test_an_id_whose_end_could_not_be_saved_is_not_sent_by_this_program(
    unwritable_once, allowed, decision
):
    unwritable_once()
    consent, other = Consent("shop", allowed), Consent("shop", allowed)
    consent.grant()
    old = consent.installation_id()
    decision.replace(decision.with_name("linked"))
    decision.symlink_to("linked")  # which is not written over
    decision.with_name("shop.json.new").mkdir()  # in the way
    consent.forget()
    assert old in decision.read_text()
    decision.with_name("shop.json.new").rmdir()
    other.nudged()
    assert consent.forgotten()["guild_id"] == {old}


# Where there is no room for another file, or its folder may not be changed.


@pytest.mark.parametrize("tokens", [0, 3])
def test_a_no_is_written_over_the_yes_where_no_file_can_be_made(
    consent, allowed, decision, granted, caplog, tokens
):
    for _ in range(tokens):
        consent.receipt()
        consent.renew_receipt()
    decision.with_name("shop.json.new").mkdir()  # in the way
    receipts = consent.receipts()
    at = decision.stat()
    consent.forget()
    assert json.loads(decision.read_text())["decision"]["installation"] is None
    now = decision.stat()
    assert (now.st_ino, now.st_size) != (at.st_ino, at.st_size), (
        "others notice, in the same tick too"
    )
    consent.revoke()
    later = Consent("shop", allowed)
    assert (later.state(), later.receipts()) == (State("off", True, False, TODAY), receipts)
    assert len(receipts) == tokens
    assert not caplog.records


@as_root
def test_a_no_is_written_in_a_folder_that_may_not_be_changed(shared, allowed):
    folder, consent = shared
    with being(NOBODY):
        consent.grant()
        os.chmod(folder, 0o555)
        consent.revoke()
        assert Consent("shop", allowed, folder).state() == State("off", True, False, TODAY)


NO_ROOM = """
    import logging, resource, signal, sys
    from pathlib import Path
    from footfall._consent.consent import Consent
    from footfall_processors import load_catalog

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no byte is taken, as by a disk that is full
    logging.getLogger("footfall").addHandler(logging.StreamHandler(sys.stdout))
    consent = Consent("shop", load_catalog(Path(sys.argv[1])))
    getattr(consent, sys.argv[2])()
    print(consent.state().mode)
"""


def test_a_no_that_cannot_be_written_at_all_takes_the_yes_away(
    consent, catalog, decision, granted, spawn
):
    warned = "cannot be saved (OSError); it holds until this program ends\n"
    assert finish(spawn(NO_ROOM, catalog, "forget")).endswith(f"{warned}on\n")
    assert decision.read_bytes() == granted, "a yes stays as it is"
    assert finish(spawn(NO_ROOM, catalog, "revoke")).endswith(f"{warned}off\n")
    assert consent.state() == UNDECIDED
    assert os.listdir(decision.parent) == []


@pytest.fixture
def unwritable_once(home):
    """Makes a home that cannot be written for now; returns what makes it writable."""
    (home / ".config").touch()
    return (home / ".config").unlink


# Where a switch of the machine says no.

SWITCHES = [
    ({"DO_NOT_TRACK": "1"}, None),
    ({"OTEL_SDK_DISABLED": "true"}, None),
    ({"TELEMETRY_ENABLED": "false"}, None),
    ({"TELEMETRY_ENABLED": "perhaps"}, None),
    ({}, False),
]


@pytest.fixture(params=SWITCHES, ids=str)
def forbidden(request, monkeypatch, catalog):
    """A client of a program that asks, on a machine that says no."""
    variables, enabled = request.param
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = Client(strict=True)
    client.configure(catalog, "http://127.0.0.1:9", consent=True, enabled=enabled)
    return client


def test_a_switch_that_says_no_makes_no_id_and_no_file(forbidden, home, caplog):
    consent = forbidden.consent
    with session("shop.order", heartbeat=0, client=forbidden) as running:
        consent.grant()
        consent.grant("local")
        forbidden.event("shop.order")
        running.start()
        assert (running.id, consent.installation_id()) == (None, None)
        consent.forget(), consent.nudged(), consent.never_again(), consent.revoke()
        assert consent.installation_id() is None
        assert not consent.nudge_due(days=0)
    assert forbidden.flush()
    assert tree(home) == {}
    assert "the yes was not noted" in caplog.text


def test_a_switch_that_says_no_keeps_what_was_decided_and_takes_a_no(allowed, home, monkeypatch):
    consent = Consent("shop", allowed)
    consent.grant()
    first = consent.installation_id()
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert consent.installation_id() is None
    consent.grant("local")
    assert consent.state().mode == "on"
    consent.revoke()
    monkeypatch.delenv("DO_NOT_TRACK")
    assert consent.state() == State("off", True, False, TODAY)
    assert first not in (home / ".config" / "footfall" / "shop.json").read_text()
