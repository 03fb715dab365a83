"""The searcher finds every planted value in every form, and says nothing of it but where it stands."""

import base64
import ipaddress
import socket
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from footfall_examples.sahasrahbot import planted, search
from footfall_examples.sahasrahbot.planted import Planted

VALUES = planted.load()
PERSONAL = planted.personal(VALUES)
CONTROLS = [one.value for one in planted.controls(VALUES)]


def _integer(value: str) -> int | None:
    if value.isdecimal():
        return int(value)
    try:
        return int(ipaddress.IPv4Address(value))
    except ValueError:
        return None


def _encodings(value: str) -> list[bytes]:
    """Every form that the issue names, written down anew."""
    text = value.encode("utf-8")
    found = [text, value.encode("utf-16-le"), value.encode("utf-16-be")]
    found += [text.hex().encode(), text.hex().upper().encode()]
    for before in range(6):
        around = b"\xfb" * before + text + b"\xff" * (before % 4)
        found += [base64.b64encode(around), base64.urlsafe_b64encode(around)]
    number = _integer(value)
    if number is not None:
        sizes = [size for size in (4, 8) if number < 256**size]
        found += [number.to_bytes(size, order) for size in sizes for order in ("big", "little")]
    return found


def _file(directory: Path, content: bytes) -> Path:
    """A file with `content` and the controls somewhere among other bytes."""
    noise = Random(len(content)).randbytes
    file = directory / "relation"
    file.write_bytes(noise(997) + content + noise(1009) + " ".join(CONTROLS).encode() + bytes(64))
    return file


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, set[Planted]]:
    """What a search finds in files that hold one form of one value each, named `line/number`."""
    root = tmp_path_factory.mktemp("forms")
    for one in PERSONAL:
        for number, content in enumerate(_encodings(one.value)):
            directory = root / str(one.line) / str(number)
            directory.mkdir(parents=True)
            _file(directory, content)
    result = search.search([root], VALUES)
    assert not result.missing
    files: dict[Path, set[Planted]] = {}
    for hit in result.personal:
        files.setdefault(hit.file.parent.relative_to(root), set()).add(hit.planted)
    return files


@pytest.mark.parametrize("one", PERSONAL, ids=lambda one: f"line{one.line}-{one.kind}")
def test_each_planted_value_is_found_in_each_encoding(
    one: Planted, found: dict[Path, set[Planted]]
) -> None:
    for number, content in enumerate(_encodings(one.value)):
        assert found.get(Path(str(one.line), str(number))) == {one}, content


def test_numbers_are_searched_as_integers_of_four_and_eight_bytes() -> None:
    numbers = [n for one in PERSONAL if (n := _integer(one.value)) is not None]
    assert [n for n in numbers if n < 2**32]
    assert [n for n in numbers if n >= 2**32]


def test_bytes_without_planted_values_are_clean(tmp_path: Path) -> None:
    result = search.search([_file(tmp_path, b"nobody in particular")], VALUES)
    assert result.good
    assert result.files == 1


def test_directories_are_searched_to_the_bottom_and_sockets_passed_over(tmp_path: Path) -> None:
    deep = tmp_path / "base" / "16384"
    deep.mkdir(parents=True)
    _file(deep, PERSONAL[0].value.encode())
    (tmp_path / "empty").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        result = search.search([tmp_path], VALUES)
    assert [hit.file for hit in result.personal] == [deep / "relation"]
    assert result.personal[0].offset == 997


def test_without_its_control_values_a_search_proves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text(CONTROLS[0])
    result = search.search([file], VALUES)
    assert not result.personal
    assert [one.value for one in result.missing] == CONTROLS[1:]
    assert not result.good


def test_a_value_that_chance_would_find_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        search.forms("4471")


def _command(path: Path) -> subprocess.CompletedProcess[str]:
    module = "footfall_examples.sahasrahbot.search"
    return subprocess.run(
        [sys.executable, "-m", module, str(path)], capture_output=True, text=True, check=False
    )


def test_the_command_succeeds_where_nothing_personal_is(tmp_path: Path) -> None:
    done = _command(_file(tmp_path, b""))
    assert done.returncode == 0
    assert "none found" in done.stdout


def test_the_command_fails_and_names_the_line_but_never_the_value(tmp_path: Path) -> None:
    done = _command(_file(tmp_path, PERSONAL[3].value.encode("utf-16-le")))
    assert done.returncode == 1
    assert f"planted.txt:{PERSONAL[3].line} ({PERSONAL[3].kind}) as UTF-16" in done.stdout
    assert PERSONAL[3].value not in done.stdout + done.stderr


def test_the_command_fails_without_the_controls(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"nothing at all")
    done = _command(file)
    assert done.returncode == 1
    assert "proves nothing" in done.stdout
