"""The guide's program, as it stands in the document, with users who answer this and that."""

import re
from pathlib import Path

import pytest

from instrumentation import programs
from instrumentation.consent.conftest import tree

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "consent.md"
QUESTION = "May this program count what you use?"
FIRST = f"""{QUESTION}
New: editor.document.open (failure, invoke and success): A document was opened.
editor.document.open may carry kind: one of code or text.
"""


def block(language):
    """The first code block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    return found[1]


@pytest.fixture
def run(tmp_path, received):
    """Runs the program with what the user types."""
    program = block("python")
    assert len(program.splitlines()) <= 20
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "events.yaml").write_text(block("yaml"))

    def run(*typed, **variables):
        done = programs.run(
            "program.py",
            folder=tmp_path,
            typed="".join(f"{line}\n" for line in (*typed, "quit")),
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            **variables,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def names(received):
    return [(each["event"], each["kind"]) for each in received.observations()]


def test_a_yes_sends_at_once_and_is_remembered(run, received):
    assert run("yes", "a.txt").startswith(FIRST)
    assert names(received) == [("editor.document.open", "text")]
    assert QUESTION not in run("b.txt")
    assert len(names(received)) == 2


@pytest.mark.parametrize("answer", ["no", "never"])
def test_a_no_sends_nothing_and_is_remembered(run, received, home, answer):
    assert QUESTION in run(answer, "a.txt")
    assert QUESTION not in run("b.txt")
    assert received.bytes == b""
    files = [name for name in tree(home) if name.endswith((".json", ".sqlite"))]
    assert files == [".config/footfall/editor.json"]


def test_local_keeps_and_sends_nothing(run, received, tmp_path):
    run("local", "a.txt")
    assert QUESTION not in run("b.txt")
    assert received.bytes == b""
    shown = programs.run("-m", "footfall.inspect").stdout
    assert "Consent: on this machine only since" in shown
    assert len(re.findall(r'editor\.document\.open  \d+ ms  feature\.action="success"', shown)) == 2


def test_a_user_who_changes_his_mind_is_heard_at_once(run, received, home):
    run("yes", "a.txt")
    sent = received.bytes
    run("telemetry off", "b.txt")
    run("c.txt")
    assert received.bytes == sent


def test_revoking_deletes_what_was_kept(run, home):
    run("local", "a.txt")
    assert ".local/share/footfall/editor.sqlite" in tree(home)
    run("telemetry off", "b.txt")
    assert ".local/share/footfall/editor.sqlite" not in tree(home)


def test_a_wider_catalog_asks_again(run, received, tmp_path):
    run("yes", "a.txt")
    catalog = tmp_path / "events.yaml"
    catalog.write_text(catalog.read_text().replace("[text, code]", "[text, code, table]"))
    assert f"{QUESTION}\nkind: may also be table.\n" in run("no", "b.txt")
    assert len(names(received)) == 1


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "OTEL_SDK_DISABLED"])
def test_a_switch_of_the_machine_wins_over_a_yes(run, received, variable):
    run("yes")
    assert QUESTION not in run("a.txt", **{variable: "true"})
    assert received.observations() == []


def test_nothing_is_created_or_sent_before_the_answer(run, received, home, tmp_path):
    """The program as it is, cut off before the question."""
    program = tmp_path / "program.py"
    program.write_text(program.read_text().replace("nudge_due():", "nudge_due() and False:"))
    before = tree(tmp_path)
    assert "opened a.txt" in run("a.txt", PYTHONDONTWRITEBYTECODE="1")
    assert tree(tmp_path) == before
    assert tree(home) == {}
    assert received.bytes == b""
