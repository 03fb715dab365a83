"""Text of products that is nobody's: by class, as programs, packages and people write it."""

import hashlib
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

Draw = Callable[[random.Random], str]


def _split(*lines: str) -> list[str]:
    return " ".join(lines).split()


PRODUCT = _split(
    "casualboots keysanity open standard inverted retro triforce crosskeys ambrosia mixed keydrop",
    "mcboss quickswap pedestal ganon crystals beginner expert hard normal swordless bombless",
    "shopsanity potpourri entrance shuffle heartcolor sprite palette spoiler race weekly daily ladder",
    "bracket async tournament seed preset checkout basket wishlist coupon invoice refund shipping",
    "express standard premium trial subscription dashboard sidebar toolbar editor canvas export",
    "import template layout portrait landscape resolution brightness contrast webhook plugin",
)
ENGLISH = _split(
    "the seed could not be generated because preset is unknown try again later after update works as",
    "expected when user opens page twice and then leaves it was faster than before please add an",
    "option for dark mode thanks loading takes too long on my tablet button does nothing great work",
    "would like more colours in settings",
)
OTHER = (
    "設定を開くと画面が真っ白になります",
    "検索結果が表示されません",
    "Das Suchfeld schließt sich von selbst",
    "Überprüfung der Größe schlägt fehl",
    "la page reste vide après l'envoi",
    "no se guarda la configuración elegida",
    "кнопка не работает после обновления",
    "الزر لا يعمل بعد التحديث",
    "naïve café Ωmega 🧝\u200d♀️",
    "버튼을 누르면 멈춥니다",
    "ekran çok küçük görünüyor",
    "görsel yüklenmiyor ❤️",
    "हिंदी में खोज नहीं चलती",
)
PACKAGES = (
    "react",
    "numpy",
    "left-pad",
    "vue",
    "lodash",
    "footfall",
    "requests",
    "typescript",
    "eslint",
    "rollup",
)


def _n(rng: random.Random, most: int, least: int = 0) -> int:
    return rng.randint(least, most)


def _words(rng: random.Random) -> str:
    return rng.choice((" ", "_", "-", ", ", "/")).join(rng.sample(PRODUCT, _n(rng, 5, 1)))


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.sample(ENGLISH, _n(rng, 14, 4))).capitalize() + rng.choice(
        (".", "!", "?", "")
    )


def _setting(rng: random.Random) -> str:
    pairs = (
        f"{rng.choice(PRODUCT)}{rng.choice('=:')} {rng.choice((*PRODUCT, 'true', '7', '0.5'))}"
        for _ in range(3)
    )
    return rng.choice(("; ", " ", ", ")).join(pairs)


def _semantic(rng: random.Random) -> str:
    tail = rng.choice(
        ("", "", "-rc.1", "-beta.2", "+build.5", "a1", "-SNAPSHOT", ".dev0", "-1ubuntu2", ".post1")
    )
    return (
        f"{rng.choice(('', 'v', 'version ', 'V'))}{_n(rng, 40)}.{_n(rng, 30)}.{_n(rng, 30)}{tail}"
    )


def _long_version(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{_n(rng, 140, 80)}.0.{_n(rng, 7000, 4000)}.{_n(rng, 250)}",  # browsers
            f"10.0.{_n(rng, 26100, 10240)}.{_n(rng, 5000)}",  # Windows
            f"{_n(rng, 6, 4)}.{_n(rng, 19)}.0-{_n(rng, 120, 10)}-generic",  # kernels
            f"{_n(rng, 6, 4)}.18.0-{_n(rng, 600, 100)}.{_n(rng, 40)}.1.el8",
            f"20{_n(rng, 27, 10)}.{_n(rng, 12, 1)}.{_n(rng, 28, 1)}.{_n(rng, 9)}",
            f"v{_n(rng, 9)}.{_n(rng, 20)}.{_n(rng, 20)}.{_n(rng, 20)}",
            f"{_n(rng, 9, 1)}.{_n(rng, 20)}.{_n(rng, 9999, 1000)}.{_n(rng, 99999, 10000)}",  # .NET
        )
    )


def _short_hash(rng: random.Random) -> str:
    digits = hashlib.sha1(str(rng.random()).encode(), usedforsecurity=False).hexdigest()
    return rng.choice(("", "commit ", "g", "#", "sha ")) + digits[: _n(rng, 12, 7)]


def _long_hash(rng: random.Random) -> str:
    kind = rng.choice(("md5", "sha1", "sha256"))
    return hashlib.new(kind, str(rng.random()).encode(), usedforsecurity=False).hexdigest()


def _moment(rng: random.Random) -> datetime:
    return datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(500_000_000))


def _date(rng: random.Random) -> str:
    forms = (
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%Y/%m/%d",
        "%d %b %Y",
        "%B %d, %Y",
        "%Y%m%d",
        "%Y_%m_%d",
        "%d-%m-%Y",
    )
    return _moment(rng).strftime(rng.choice(forms))


def _time(rng: random.Random) -> str:
    forms = (
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S",
        "%H:%M:%S",
        "%H:%M",
        "%Y-%m-%dT%H:%M:%S.%f+00:00",
        "%Y%m%d%H%M%S",
        "%Y%m%dT%H%M%SZ",
        "%Y-%m-%d_%H-%M-%S",
        "%Y%m%d-%H%M%S",
        "%d/%b/%Y:%H:%M:%S +0000",
    )
    return _moment(rng).strftime(rng.choice(forms))


def _numbers(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{_n(rng, 9)} of {_n(rng, 99)}",
            f"{_n(rng, 100)} %",
            f"{_n(rng, 99)}.{_n(rng, 99):02d} €",
            f"${_n(rng, 9999):,}",
            f"{_n(rng, 4000)}x{_n(rng, 2200)}",
            f"{_n(rng, 999)} ms",
            f"{rng.random():.6f}",
            f"{rng.uniform(-90, 90):.4f}, {rng.uniform(-180, 180):.4f}",
            f"{_n(rng, 12_000_000):,}",
            f"{_n(rng, 900)}-{_n(rng, 999)}",
            f"{_n(rng, 9)}/{_n(rng, 9)}/{_n(rng, 9)}",
            f"{_n(rng, 99)}:{_n(rng, 59):02d}",
            f"-{_n(rng, 99999)}",
            f"{rng.random():.3e}",
        )
    )


def _list(rng: random.Random) -> str:
    return rng.choice(
        (
            " ".join(map(str, range(1, _n(rng, 14, 5)))),
            ", ".join(str(_n(rng, 99)) for _ in range(_n(rng, 9, 3))),
            " ".join(str(_n(rng, 99)) for _ in range(4)),
            ", ".join(str(_n(rng, 4096, 100)) for _ in range(_n(rng, 6, 3))),
            " ".join(f"20{_n(rng, 29, 10)}" for _ in range(3)),
        )
    )


def _reference(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.choice(PACKAGES)}@{_n(rng, 20)}.{_n(rng, 9)}.{_n(rng, 9)}",
            f"{rng.choice(PACKAGES)}@latest",
            f"{rng.choice(PRODUCT)}@2x.png",
            f"#{_n(rng, 99999)}",
            f"GH-{_n(rng, 9999)}",
            f"{rng.choice(('SHOP', 'ABC', 'JIRA'))}-{_n(rng, 99999)}",
            f"RFC {_n(rng, 9999)}",
            f"std::{rng.choice(PRODUCT)}::{rng.choice(PRODUCT)}()",
            f"{rng.choice(PRODUCT)}.{rng.choice(PRODUCT)}[{_n(rng, 99)}]",
            f"https://docs.example.org/{rng.choice(PRODUCT)}/{rng.choice(PRODUCT)}",
            f"src/{rng.choice(PRODUCT)}/{rng.choice(PRODUCT)}_{_n(rng, 99)}.py:{_n(rng, 999)}",
            f"#{rng.randrange(2**24):06x}",
            f"0x{rng.randrange(2**32):08x}",
            f"{rng.choice(PRODUCT)}_{_n(rng, 99)}_{rng.choice(PRODUCT)}",
        )
    )


def _encoded(rng: random.Random) -> str:
    return rng.choice(
        (
            f"100%25 {rng.choice(PRODUCT)}",
            f"{rng.choice(PRODUCT)}%20{rng.choice(PRODUCT)}",
            f"{rng.choice(PRODUCT)} &amp; {rng.choice(PRODUCT)}",
            f"a &lt; {_n(rng, 99)} &gt; b",
            f"{rng.choice(PRODUCT)}&nbsp;{_n(rng, 99)}",
            f"\\n{rng.choice(PRODUCT)}\\t{rng.choice(PRODUCT)}",
            "".join(w.capitalize() for w in rng.sample(PRODUCT, 2)),
        )
    )


def _column(rng: random.Random) -> str:
    most, lines = 10 ** _n(rng, 6, 1), _n(rng, 6, 2)
    form = rng.choice(("{}", "{:03}", "+{}", "{} ", "row {}", "{}.5", "{}:30", "2026-11-{:02}"))
    numbers = (_n(rng, most if form in ("{}", "{:03}") else 28, 1) for _ in range(lines))
    return rng.choice(("\n", "\r\n", "<br>")).join(map(form.format, numbers))


def _result(rng: random.Random) -> str:
    return rng.choice(
        (
            f"pass: {_n(rng, 999)}, fail: {_n(rng, 99)}",
            f"first pass: {rng.choice(PRODUCT)}",
            f"maxTokens: {_n(rng, 9999)}",
            f"bypass: {rng.choice(PRODUCT)}{_n(rng, 99)}",
            f"{rng.choice(PRODUCT)}Keys: {_n(rng, 99)}",
            f"big_mac_{_n(rng, 99)}_{_n(rng, 99)}",
        )
    )


def _seed(rng: random.Random, length: int) -> str:
    return rng.choice(("seed ", "", "#", "Seed: ")) + str(
        rng.randrange(10 ** (length - 1), 10**length)
    )


CLASSES: dict[str, tuple[int, Draw]] = {
    "words of the product": (4000, _words),
    "sentences": (3000, _sentence),
    "sentences, other languages": (1000, lambda r: f"{r.choice(OTHER)} {_n(r, 99)}"),
    "settings": (1500, _setting),
    "versions": (2000, _semantic),
    "versions of four parts": (1000, _long_version),
    "dates": (1500, _date),
    "times": (1500, _time),
    "numbers": (1500, _numbers),
    "lists of numbers": (800, _list),
    "references, paths, code": (1500, _reference),
    "encoded signs": (700, _encoded),
    "short hashes (7 to 12 digits)": (1000, _short_hash),
    "seeds of 1 to 8 digits": (1000, lambda r: _seed(r, _n(r, 8, 1))),
    "seeds of 9 and 10 digits": (400, lambda r: _seed(r, _n(r, 10, 9))),
    "long hashes (32 digits and more)": (400, _long_hash),
    "UUIDs": (400, lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))),
    "numbers below each other": (1000, _column),
    "results and settings with colons": (600, _result),
}
"""How many of each, and what draws one."""


def drawn(rng: random.Random) -> Iterator[tuple[str, str]]:
    """(class, text)."""
    for name, (number, draw) in CLASSES.items():
        for _ in range(number):
            yield name, draw(rng)
