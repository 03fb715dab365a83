"""Values to search for: secrets, which must be nowhere, and declared ones, which have their places."""

import base64
import ipaddress
import json
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

ALNUM = string.ascii_letters + string.digits
HIGH = 1_204_719_386_255_327_232 >> 16
"""The upper bits of all planted numbers: snowflakes of 61 bits, 19 digits."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A value that was sent.

    Attributes:
        where: The situation, the way, the signal and the place it was planted in.
        value: As it was sent.
        cores: Its parts that nobody else says.
    """

    where: str
    value: str
    cores: tuple[str, ...]


@dataclass
class Book:
    """All that was planted; the same values in every run.

    Attributes:
        secrets: What must be nowhere.
        declared: What was stored.
        lost: What is declared as well, and need not be stored.
    """

    secrets: list[Planted] = field(default_factory=list)
    declared: list[Planted] = field(default_factory=list)
    lost: list[Planted] = field(default_factory=list)
    numbers: int = 0
    random: Random = field(default_factory=lambda: Random("leaks"))

    def some(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choices(alphabet, k=length))

    def declare(self, where: str, *, kept: bool = True) -> str:
        """A word of letters, which no pattern takes for something personal."""
        word = "kept" + self.some(string.ascii_lowercase, 20)
        (self.declared if kept else self.lost).append(Planted(where, word, (word,)))
        return word


class Place:
    """Plants secrets, each under a name of its own.

    It has the methods of test_receivers.Secrets, whose requests are sent as well.
    """

    def __init__(self, book: Book, *where: str) -> None:
        self._book, self.where = book, " / ".join(where)

    def text(self, name: str) -> str:
        """A word of 22 random letters and digits."""
        return self.plant(name, word := self._book.some(ALNUM, 22), word)

    def number(self, name: str) -> int:
        self._book.numbers += 1
        number = (HIGH << 16) + self._book.numbers
        self.plant(name, str(number), str(number))
        return number

    def of(self, kind: str, name: str) -> str:
        """A value that looks like something personal."""
        value, *cores = KINDS[kind](self._book)
        return self.plant(f"{name} ({kind})", value, *(cores or [value]))

    def plant(self, name: str, value: str, *cores: str) -> str:
        self._book.secrets.append(Planted(f"{self.where} / {name}", value, cores))
        return value


def _word(book: Book) -> list[str]:
    return [book.some(ALNUM, 22)]


def _email(book: Book) -> list[str]:
    user, host = book.some(ALNUM, 20), book.some(ALNUM, 20)
    return [f"{user}@{host}.org", user, host]


def _ipv4(book: Book) -> list[str]:
    return [".".join(str(book.random.randint(100, 223)) for _ in range(4))]


def _ipv6(book: Book) -> list[str]:
    groups = ":".join(f"{book.random.randint(0x1000, 0xFFFF):x}" for _ in range(6))
    address = f"2001:db8:{groups}"
    assert ipaddress.ip_address(address).compressed == address
    return [address, groups]


def _phone(book: Book) -> list[str]:
    number = "1" + book.some(string.digits, 13)
    return [f"+{number}", number]


def _card(book: Book) -> list[str]:
    """16 digits whose last makes the Luhn check right (ISO/IEC 7812-1)."""
    body = "4" + book.some(string.digits, 14)
    doubled = [int(d) * 2 if n % 2 == 0 else int(d) for n, d in enumerate(body)]
    total = sum(d - 9 if d > 9 else d for d in doubled)
    return [f"{body}{-total % 10}"]


def _jwt(book: Book) -> list[str]:
    claims = json.dumps({"sub": book.some(ALNUM, 21)}).encode()
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    signature = book.some(ALNUM, 43)
    # The first characters of a payload say only that it is a JSON object with a subject.
    return [f"eyJhbGciOiJIUzI1NiJ9.{payload}.{signature}", payload[12:], signature]


def _key(book: Book) -> list[str]:
    secret = book.some(ALNUM, 30)
    return [f"ghp_{secret}", secret]


def _snowflake(book: Book) -> list[str]:
    return [str(book.random.randint(10**18, 2 * 10**18))]


def _mention(book: Book) -> list[str]:
    number = str(book.random.randint(10**18, 2 * 10**18))
    return [f"<@{number}>", number]


def _url(book: Book) -> list[str]:
    host, path, query = (book.some(string.ascii_lowercase, 20) for _ in range(3))
    return [f"https://{host}.example/{path}?token={query}", host, path, query]


def _path(book: Book) -> list[str]:
    path, query = book.some(ALNUM, 20), book.some(ALNUM, 20)
    return [f"/users/{path}?q={query}", path, query]


KINDS: dict[str, Callable[[Book], list[str]]] = {
    "word": _word, "email": _email, "ipv4": _ipv4, "ipv6": _ipv6, "phone": _phone, "card": _card,
    "jwt": _jwt, "key": _key, "snowflake": _snowflake, "mention": _mention, "url": _url, "path": _path,
}  # fmt: skip
"""What a value looks like → the value and, unless it is all of it, its parts that nobody else says."""
PERSONAL = tuple(kind for kind in KINDS if kind not in ("word", "path"))
"""What the redaction knows."""
