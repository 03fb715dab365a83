import datetime as dt
import hashlib
import json
import os
import re
import stat
import threading
import zlib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from footfall_collector.cli import main
from footfall_collector.security import keys
from footfall_collector.security.keys import Key, Keys
from footfall_collector.security.keys_file import changing
from footfall_processors import DocumentError

TODAY = dt.datetime.now(dt.UTC).date()
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def hashed(token):
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def file(tmp_path):
    """A keys file that is not there yet."""
    return tmp_path / "keys.yaml"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `footfall keys`; the current folder is empty."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=0):
        result = CliRunner().invoke(main, ["keys", *map(str, arguments)])
        assert result.exit_code == status, result.output
        return result

    return run


def write(file, **entries):
    for entry in entries.values():
        entry.setdefault("created", TODAY)
    file.write_text(yaml.safe_dump({"keys": entries}))


# Tokens


def checksum(body):
    """CRC-32 in base 62, six digits."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def test_a_token_has_a_prefix_256_random_bits_and_a_checksum():
    tokens = {keys.make_token() for _ in range(200)}
    assert len(tokens) == 200
    for token in tokens:
        assert re.fullmatch(r"ffk_[0-9A-Za-z]{49}", token)
        body = token[4:-6]
        assert token.endswith(checksum(body))
        number = 0
        for character in body:
            number = number * 62 + ALPHABET.index(character)
        assert number < 2**256
        assert keys.is_whole(token)
    # Every bit is drawn: the chance that one of them never changes is 2**-190.
    assert len({token[4] for token in tokens}) > 10


@given(st.integers(4, 52), st.sampled_from(ALPHABET))
def test_every_typing_error_is_noticed(place, character):
    token = keys.make_token()
    wrong = token[:place] + character + token[place + 1 :]
    assert keys.is_whole(wrong) is (wrong == token)


# Finding


def test_a_key_is_found_by_its_token_and_has_what_the_file_says(file):
    token = keys.make_token()
    write(
        file,
        bot={
            "hash": hashed(token),
            "services": ["sahasrahbot", "web"],
            "requests_per_minute": 600,
            "relay": True,
            "operator": True,
            "names_viewers": True,
            "expires": TODAY,
        },
    )
    assert Keys.load(file).find(token) == Key(
        name="bot",
        id=hashlib.sha256(token.encode()).digest()[:16],
        services=frozenset({"sahasrahbot", "web"}),
        per_minute=600,
        relay=True,
        operator=True,
        names_viewers=True,
        expires=TODAY,
    )


def test_a_key_may_all_services_and_no_more_unless_the_file_says_otherwise(file):
    token = keys.make_token()
    write(file, bot={"hash": hashed(token)})
    found = Keys.load(file).find(token)
    assert (found.services, found.per_minute, found.relay, found.operator) == (set(), None, 0, 0)
    assert not found.names_viewers


def test_the_id_stays_as_long_as_the_key_and_differs_between_keys(file):
    first, second = keys.make_token(), keys.make_token()
    write(file, one={"hash": hashed(first)}, two={"hash": hashed(second)})
    before = Keys.load(file)
    write(file, renamed={"hash": hashed(first), "requests_per_minute": 5})
    after = Keys.load(file)
    assert before.find(first).id == after.find(first).id
    assert before.find(first).id != before.find(second).id
    assert after.find(second) is None


@given(st.text() | st.none())
def test_no_other_text_is_a_key(text):
    token = keys.make_token()
    known = Keys({"bot": keys.KeyEntry(hash=hashed(token), created=TODAY)})
    assert known.find(text) is None
    assert known.find(token.lower() + (text or "")) is None
    assert known.find(token + (text or "")) == (None if text else known.find(token))
    assert known.refusal(text)


def test_the_hash_is_no_key(file):
    token = keys.make_token()
    write(file, bot={"hash": hashed(token)})
    known = Keys.load(file)
    for text in (hashed(token), hashed(token)[7:], "bot", ""):
        assert known.find(text) is None


def test_a_key_is_good_to_the_end_of_its_last_day():
    token = keys.make_token()
    entry = keys.KeyEntry(hash=hashed(token), created=TODAY, expires=dt.date(2030, 6, 1))
    now = dt.datetime(2030, 6, 1, 23, 59, 59, tzinfo=dt.UTC).timestamp()
    known = Keys({"bot": entry}, clock=lambda: now)
    assert known.find(token) is not None
    now += 1
    assert known.find(token) is None
    assert known.refusal(token) == "the key has expired; ask the operator for a new one"


def test_a_refusal_says_what_is_wrong_and_quotes_nothing():
    token, other = keys.make_token(), keys.make_token()
    known = Keys({"bot": keys.KeyEntry(hash=hashed(token), created=TODAY)})
    assert "authorization: Bearer" in known.refusal(None)
    assert "no whole key" in known.refusal(other[:-1])
    assert "not known" in known.refusal(other)
    assert other[4:20] not in known.refusal(other) + known.refusal(other[:-1])


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer ffk_a", "ffk_a"),
        ("bearer  ffk_a ", "ffk_a"),
        ("Basic ffk_a", None),
        ("ffk_a", None),
        ("", None),
        (None, None),
    ],
)
def test_the_token_is_taken_from_the_header(header, token):
    assert keys.bearer(header) == token


# Mistakes in the file


def test_every_mistake_is_listed_with_its_line_and_path_and_no_key_is_quoted(file):
    token = keys.make_token()
    file.write_text(
        f"""\
keys:
  bot: {{hash: "{token}", created: yesterday, requests_per_minute: 0, key: {token}}}
  Bot: {{hash: "{hashed(token)}", created: 2026-01-01, services: web}}
  {token}: {{hash: "{hashed(token)}", created: 2026-01-01}}
key: 1
"""
    )
    with pytest.raises(DocumentError) as error:
        Keys.load(file)
    found = {(m.line, m.path): m.message for m in error.value.mistakes}
    assert {(line, path) for line, path in found} == {
        (2, "keys.bot.hash"),
        (2, "keys.bot.created"),
        (2, "keys.bot.requests_per_minute"),
        (2, "keys.bot.key"),
        (3, "keys.Bot"),
        (3, "keys.Bot.services"),
        (4, "keys.(a key)"),
        (5, "key"),
    }
    assert "as `footfall keys new` writes it" in found[2, "keys.bot.hash"]
    assert 'did you mean "keys"?' in found[5, "key"]
    assert token not in str(error.value)


def test_a_hash_that_two_keys_have_is_a_mistake(file):
    token = keys.make_token()
    write(file, one={"hash": hashed(token)}, two={"hash": hashed(token)})
    with pytest.raises(DocumentError, match=r"keys\.two\.hash: is that of one"):
        Keys.load(file)


def test_a_file_that_is_not_there_is_named(file):
    with pytest.raises(DocumentError, match=r"keys\.yaml:1: cannot be read: No such file"):
        Keys.load(file)


def test_a_file_without_keys_lets_nobody_in(file):
    file.write_text("keys: {}\n")
    assert len(Keys.load(file)) == 0
    assert Keys.load(file).find(keys.make_token()) is None


# Writing


def entry():
    return keys.KeyEntry(hash=hashed(keys.make_token()), created=TODAY)


names = st.from_regex(keys.NAME, fullmatch=True)
entries = st.builds(
    keys.KeyEntry,
    hash=st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}"),
    services=st.lists(st.text("az09 :#'\"-é", min_size=1), max_size=3).map(tuple),
    requests_per_minute=st.none() | st.integers(1, 10_000_000),
    relay=st.booleans(),
    operator=st.booleans(),
    names_viewers=st.booleans(),
    created=st.dates(),
    expires=st.none() | st.dates(),
)


@given(st.dictionaries(names, entries, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, wanted):
    if len({e.hash for e in wanted.values()}) < len(wanted):
        return
    file = tmp_path_factory.mktemp("keys") / "keys.yaml"
    with changing(file) as found:
        found.update(wanted)
    if wanted:
        assert keys.read(file) == wanted
    else:
        assert not file.exists()


def test_only_its_owner_may_read_the_file_and_nothing_is_left_beside_it(file):
    with changing(file) as found:
        found["bot"] = entry()
    os.chmod(file, 0o644)
    with changing(file) as found:
        found["other"] = entry()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_keeps_its_owner(file):
    with changing(file) as found:
        found["bot"] = entry()
    os.chown(file, 1234, 2345)
    with changing(file) as found:
        found["other"] = entry()
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


def test_a_link_stays_a_link(file, tmp_path):
    (tmp_path / "real").mkdir()
    file.symlink_to(tmp_path / "real" / "keys.yaml")
    with changing(file) as found:
        found["bot"] = entry()
    assert file.is_symlink()
    assert set(keys.read(file)) == {"bot"}


def test_a_reader_sees_the_old_file_or_the_new_one(file, monkeypatch):
    with changing(file) as found:
        found["bot"] = entry()
    before = file.read_bytes()
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append((file.read_bytes(), set(keys.read(Path(source)))))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    with changing(file) as found:
        found["other"] = entry()
    assert seen == [(before, {"bot", "other"})]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_changes_nothing(file, monkeypatch, failing):
    with changing(file) as found:
        found["bot"] = entry()
    before = file.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space"), changing(file) as found:
        found["other"] = entry()
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_two_that_change_the_file_wait_for_each_other(file):
    def add(number):
        with changing(file) as found:
            found[f"bot{number}"] = entry()

    threads = [threading.Thread(target=add, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(keys.read(file)) == {f"bot{n}" for n in range(8)}


def test_a_file_with_mistakes_is_not_overwritten(file):
    file.write_text("keys: {bot: {}}\n")
    with pytest.raises(DocumentError), changing(file) as found:
        found["other"] = entry()
    assert file.read_text() == "keys: {bot: {}}\n"


# The command


def test_new_prints_the_key_once_and_keeps_its_hash(run, file):
    result = run("new", "bot", "--service", "web", "-s", "api", "--requests-per-minute", "600",
                 "--relay", "--operator", "--names-viewers", "--expires", "2099-12-31",
                 "--file", file)  # fmt: skip
    token = result.stdout.removesuffix("\n")
    assert keys.is_whole(token)
    assert token not in result.stderr
    assert token[4:-6] not in file.read_text()
    assert keys.read(file) == {
        "bot": keys.KeyEntry(
            hash=hashed(token),
            services=("web", "api"),
            requests_per_minute=600,
            relay=True,
            operator=True,
            names_viewers=True,
            created=TODAY,
            expires=dt.date(2099, 12, 31),
        )
    }
    assert Keys.load(file).find(token).name == "bot"


def test_new_prints_json_for_scripts(run, file):
    printed = json.loads(run("new", "bot", "--json", "--file", file).stdout)
    assert printed == {"name": "bot", "key": printed["key"], "file": str(file)}
    assert Keys.load(file).find(printed["key"]).name == "bot"


def test_list_shows_what_keys_may_do_and_no_key_and_no_hash(run, file):
    token = run("new", "bot", "--service", "[red]web", "--file", file).stdout.strip()
    write_over = yaml.safe_load(file.read_text())
    write_over["keys"]["old"] = {
        "hash": hashed(keys.make_token()), "created": dt.date(2020, 1, 1), "relay": True,
        "expires": dt.date(2020, 12, 31), "requests_per_minute": 1500,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(write_over))
    table = run("list", "--file", file).stdout
    printed = run("list", "--file", file, "--json").stdout
    for shown in ("bot", "[red]web", "old", "1,500", "relay", "2020-12-31 (over)", "never"):
        assert shown in table
    assert json.loads(printed)["keys"][1] == {
        "name": "old", "services": [], "requests_per_minute": 1500, "relay": True, "operator": False,
        "names_viewers": False, "created": "2020-01-01", "expires": "2020-12-31",
    }  # fmt: skip
    for text in (table, printed):
        assert "sha256" not in text
        assert hashed(token)[7:20] not in text
        assert token[4:20] not in text


def test_list_shows_a_key_that_names_viewers(run, file):
    hashes = hashed(keys.make_token())
    write(file, site={"hash": hashes, "names_viewers": True, "relay": True})
    assert "relay, names viewers" in run("list", "--file", file).stdout
    (row,) = json.loads(run("list", "--file", file, "--json").stdout)["keys"]
    assert row["names_viewers"] is True


@pytest.mark.parametrize("width", [40, 60, 80])
def test_list_on_few_columns_is_whole(run, file, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    name = "shop-web-in-production"
    run("new", name, "--service", "payment-gateway", "--expires", "2099-12-31", "--file", file)
    printed = run("list", "--file", file).stdout
    assert max(map(len, printed.splitlines())) <= width
    created = dt.datetime.now(dt.UTC).date()
    for whole in (name, "payment-gateway", "per minute", "any", "2099-12-31", f"{created:%Y-}"):
        assert whole in printed
    assert "…" not in printed


def test_list_says_when_there_is_no_key(run, file):
    file.write_text("keys: {}\n")
    assert "nobody may send" in run("list", "--file", file).stdout
    assert json.loads(run("list", "--json", "--file", file).stdout) == {"keys": []}


def test_a_revoked_key_is_found_no_more(run, file):
    tokens = [run("new", name, "--file", file).stdout.strip() for name in ("one", "two")]
    run("revoke", "one", "--file", file)
    known = Keys.load(file)
    assert [known.find(token) and known.find(token).name for token in tokens] == [None, "two"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["new", "bot"], 1, "has a key bot already; revoke it first, or choose another name"),
        (["new", "Bot!"], 2, "a name has letters a to z"),
        (["new", "other", "--expires", "2020-01-01"], 2, "that day is over"),
        (["new", "other", "--expires", "soon"], 2, "'soon' does not match the format"),
        (["new", "other", "--requests-per-minute", "0"], 2, "is not in the range"),
        (["revoke", "bto"], 1, 'has no key bto; did you mean "bot"?'),
        (["revoke", "xyz"], 1, "has no key xyz; `footfall keys list` shows them"),
    ],
)
def test_a_wrong_argument_is_explained_and_changes_nothing(run, file, arguments, status, message):
    run("new", "bot", "--file", file)
    before = file.read_bytes()
    result = run(*arguments, "--file", file, status=status)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert file.read_bytes() == before


def test_the_file_is_the_one_that_the_configuration_names(run, tmp_path):
    (tmp_path / "conf").mkdir()
    config = tmp_path / "conf" / "collector.yaml"
    config.write_text("receivers: {otlp: {auth: {keys_file: mine.yaml}}}\n")
    token = run("new", "bot", "--config", config).stdout.strip()
    assert Keys.load(tmp_path / "conf" / "mine.yaml").find(token).name == "bot"
    config.write_text("service: {operator: {keys_file: theirs.yaml}}\n")
    run("new", "bot", "--config", config)
    assert set(keys.read(tmp_path / "conf" / "theirs.yaml")) == {"bot"}


def test_without_a_keys_file_the_command_says_where_to_name_one(run):
    assert "set receivers.otlp.auth.keys_file" in run("list", status=2).stderr


def test_what_else_the_configuration_lacks_is_not_asked_for(run, tmp_path, file):
    config = tmp_path / "collector.yaml"
    config.write_text(
        "receivers: {otlp: {auth: {keys_file: keys.yaml}}}\n"
        "processors: {footfall: {catalog: not-yet.yaml}}\n"
        "exporters: {postgres: {dsn: '${env:NOT_SET_YET}'}}\n"
    )
    run("new", "web", "-c", config)
    assert "web" in run("list", "-c", config).output


def test_mistakes_of_configuration_and_keys_file_are_listed(run, tmp_path, file):
    config = tmp_path / "collector.yaml"
    config.write_text("receivers: {otlp: {auth: {}}}\n")
    assert "receivers.otlp.auth.keys_file: is missing" in run("list", "-c", config, status=2).stderr
    file.write_text("keys: {bot: {}}\n")
    for command in (["list"], ["new", "other"], ["revoke", "bot"]):
        assert f"{file}:1: keys.bot.hash: is missing" in run(*command, "-f", file, status=2).stderr


def test_a_folder_that_is_not_there_is_named(run, tmp_path):
    result = run("new", "bot", "--file", tmp_path / "nowhere" / "keys.yaml", status=1)
    assert "its folder must exist, and be writable" in result.stderr
    assert result.stdout == ""
