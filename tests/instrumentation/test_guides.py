"""The guides about sessions and testing: their programs as they stand in the documents."""

import re
from pathlib import Path

import pytest

from instrumentation import programs

GUIDES = Path(__file__).parents[2] / "docs/guides"


def blocks(name, language):
    text = (GUIDES / f"{name}.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def statements(program):
    """Lines that do something: neither empty nor a comment alone."""
    return [line for line in program.splitlines() if line.strip()]


def test_the_plugin_sends_what_the_guide_says(tmp_path, received):
    (program,), (catalog,) = blocks("sessions", "python"), blocks("sessions", "yaml")
    assert len(statements(program)) <= 20
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "events.yaml").write_text(catalog)
    home = str(tmp_path / "home")
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), home)
    for _ in range(2):
        done = programs.run(
            "program.py", folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint, **homes
        )
        assert (done.returncode, done.stderr) == (0, "")
    found = [(o["event"], o["feature.action"]) for o in received.observations()]
    assert found == 2 * [
        ("plugin.session", "start"),
        ("plugin.story", "open"),
        ("plugin.stories", "success"),
        ("plugin.story", "close"),
        ("plugin.session", "end"),
    ]
    sessions = [o["session_id"] for o in received.observations()]
    assert len(set(sessions[:5])) == len(set(sessions[5:])) == 1
    assert sessions[0] != sessions[5]
    installations = {o.get("installation_id") for o in received.observations()} - {None}
    assert len(installations) == 1


@pytest.mark.parametrize("configured", [False, True])
def test_the_test_passes_and_fails_when_the_program_is_wrong(tmp_path, configured):
    (program,), (catalog,) = blocks("testing", "python"), blocks("testing", "yaml")
    (settings,) = blocks("testing", "toml")
    assert len(statements(program)) <= 20
    (tmp_path / "events.yaml").write_text(catalog)
    (tmp_path / "pyproject.toml").write_text(settings if configured else "")
    if configured:
        program = program.replace('    footfall.configure(catalog="events.yaml")\n', "")
    for wrong in (False, True):
        text = (
            program.replace('provider="smz3")\ndef', 'providr="smz3")\ndef') if wrong else program
        )
        (tmp_path / "test_order.py").write_text(text)
        done = programs.pytest(tmp_path, TELEMETRY_ENABLED="false")
        assert done.returncode == wrong, done.stdout
    assert 'did you mean "provider"?' in done.stdout


def test_every_guide_is_listed_and_every_surface_has_one():
    listed = set(re.findall(r"\]\(([a-z-]+)\.md\)", (GUIDES / "README.md").read_text("utf-8")))
    assert listed == {path.stem for path in GUIDES.glob("[a-z]*.md")}
    assert listed >= {
        "fastapi",
        "django",
        "flask",
        "discord",
        "racetime",
        "python",
        "browser",
        "consent",
    }
