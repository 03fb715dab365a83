"""Personal data as people and programs write it: by class, from what each format's own source says.

Numbers are of ranges that nobody has where there are such (RFC 5737, RFC 3849, ITU's and Ofcom's for drama);
addresses are of example.org and its like (RFC 2606).
"""

import base64
import html
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import quote

Draw = Callable[[random.Random], str]
GAPS = (
    " ", "  ", "   ", "-", " - ", ".", " . ", "/", " / ", "_", "\t", " \t ", "\u3000", "\u00a0",
    "\u2009", "\u00b7", "\u30fb", "\u2212", "\u2010", "\u2013", " \u2013 ", "\u2014", "\uff0d", "_ _",
    "\u202f", "--", "\u2022",
)  # fmt: skip
HIDDEN = (
    "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u202a", "\u2066",
    "\ufe0f", "\u034f", "\U000e0041",
)  # fmt: skip
DOTS = ("\u3002", "\uff0e", "\u00b7", "[.]", " . ", "(.)")
WORDS = (
    "walker",
    "shop",
    "info",
    "user",
    "first",
    "last",
    "mail",
    "box",
    "north",
    "river",
    "stone",
    "amber",
)
PHONES = (
    "+49 171 #######", "0171 #######", "030 ### ## ##", "+49 (0)30 ### ####", "0049 171 #######",
    "08 9## ## ## ##", "+1 555 01# ####", "(555) 01# ####", "555 01# ####", "1 555 01# ####",
    "+44 7700 900###", "07700 900 ###", "020 7946 0###", "+33 1 99 00 ## ##", "01 99 00 ## ##",
    "06 39 98 ## ##", "090 #### ####", "+81 3 #### ####", "03 #### ####", "+55 11 9#### ####",
    "(11) 9#### ####", "+91 98### #####", "098### #####", "+34 6## ### ###", "6## ### ###",
    "+48 5## ### ###", "0491 570 ###", "+61 491 570 ###", "+7 9## ### ## ##", "8 9## ### ## ##",
    "+39 3## ### ####", "+86 138 #### ####", "138 #### ####", "+46 70 ### ## ##",
)  # fmt: skip
"""`#` is a digit, a space the gap."""
CARDS = (
    (16, "4"),
    (16, "51"),
    (16, "2221"),
    (15, "37"),
    (16, "6011"),
    (14, "36"),
    (16, "3528"),
    (19, "62"),
)


def _digits(rng: random.Random, number: int) -> str:
    return "".join(rng.choices("0123456789", k=number))


def _email(rng: random.Random) -> str:
    local = ".".join(rng.sample(WORDS, rng.choice((1, 1, 2)))) + rng.choice(
        ("", "", "+news", "7", "_1", "-x")
    )
    domain = rng.choice(
        (
            "example.org",
            "example.com",
            "mail.example.net",
            "example.co.uk",
            "test.example",
            "a1.example.io",
        )
    )
    return f"{local}@{domain}"


def _host(rng: random.Random) -> str:
    return f"{rng.choice(WORDS)}@{rng.choice(('host-1', 'localhost', 'server', 'pc7', 'nas', 'buero-pc'))}"


def _phone(rng: random.Random, gap: str = " ") -> str:
    form = rng.choice(PHONES)
    return "".join(rng.choice("123456789") if c == "#" else gap if c == " " else c for c in form)


def _check_digit(payload: str) -> str:
    """ISO/IEC 7812-1, Annex B."""
    doubled = (int(d) * (2 if at % 2 == 0 else 1) for at, d in enumerate(reversed(payload)))
    return str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def _card(rng: random.Random, gap: str = " ") -> str:
    return _card_of(rng, *rng.choice(CARDS), gap)


def _card_of(rng: random.Random, length: int, begin: str, gap: str) -> str:
    payload = begin + _digits(rng, length - len(begin) - 1)
    number = payload + _check_digit(payload)
    return gap.join(number[at : at + 4] for at in range(0, length, 4))


def _ipv4(rng: random.Random) -> str:
    net = rng.choice(("192.0.2", "198.51.100", "203.0.113", "10.2.3", "172.16.4", "192.168.178"))
    return f"{net}.{rng.randrange(1, 255)}"


def _ipv6(rng: random.Random) -> str:
    groups = [f"{rng.randrange(1, 0x10000):x}" for _ in range(rng.randrange(1, 5))]
    whole = ["2001", "db8", *(f"{rng.randrange(0x10000):x}" for _ in range(6))]
    return rng.choice(
        (f"2001:db8::{':'.join(groups)}", ":".join(whole), f"fe80::{':'.join(groups)}")
    )


def _written_ipv6(rng: random.Random) -> str:
    groups = ["2001", "db8", *(f"{rng.randrange(0x10000):x}" for _ in range(6))]
    return "-".join(groups) + rng.choice(("", ".ipv6-literal.net"))


def _letters_ipv6(rng: random.Random) -> str:
    return ":".join(
        rng.choice(("dead", "beef", "cafe", "babe", "face", "feed", "fade", "deed"))
        for _ in range(8)
    )


def _iban(rng: random.Random) -> str:
    """ISO 13616: an account with letters and digits, and the check digits of ISO 7064."""
    country, bank, digits = rng.choice(
        (("DE", "", 18), ("GB", "NWBK", 14), ("NL", "ABNA", 10), ("FR", "", 23))
    )
    account = bank + _digits(rng, digits)
    rest = int("".join(str(int(c, 36)) for c in f"{account}{country}00")) % 97
    number = f"{country}{98 - rest:02d}{account}"
    gap = rng.choice(("", " ", "-", "\u00a0"))
    return gap.join(number[at : at + 4] for at in range(0, len(number), 4))


def _hidden(rng: random.Random, text: str) -> str:
    """With invisible characters in it, one beside its middle at least."""
    places = {len(text) // 2, *rng.sample(range(1, len(text)), 2)}
    return "".join(rng.choice(HIDDEN) + c if at in places else c for at, c in enumerate(text))


def _wide(text: str) -> str:
    return "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text
    )


def _respelled(rng: random.Random, text: str) -> str:
    at, dot = rng.choice(("\uff20", "\ufe6b")), rng.choice(("\u3002", "\uff0e", "\uff61"))
    return text.replace("@", at).replace(".", dot)


def _other_digits(rng: random.Random, text: str) -> str:
    zero = rng.choice((0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0x1D7CE))
    return "".join(chr(zero + int(c)) if c.isdigit() else c for c in text)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _entities(rng: random.Random, text: str) -> str:
    form = rng.choice(("&#{};", "&#x{:x};", "&#{:04d};"))
    return "".join(
        form.format(ord(c)) if not c.isalpha() and rng.random() < 0.9 else c for c in text
    )


def _percent(text: str) -> str:
    return quote(text, safe="")


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in text)


def _before(rng: random.Random, text: str) -> str:
    return rng.choice(("tel", "tel_", "v", "Tel", "phone", "nr", "x_", "id")) + text


def _jwt(rng: random.Random) -> str:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    head, subject = '{"alg":"HS256"}', f'{{"sub":"{_digits(rng, 8)}"}}'
    return f"{part(head)}.{part(subject)}.{part(_digits(rng, 32))}"


def _token(rng: random.Random) -> str:
    body = (
        "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", k=36))
        + "7a"
    )
    return (
        rng.choice(
            ("sk-", "sk_live_", "ghp_", "glpat-", "xoxb-", "Bearer ", "password=", "api_key: ")
        )
        + body
    )


def _url(rng: random.Random) -> str:
    end = rng.choice(("/a?u=", "/cb?code=", "/#")) + rng.choice(WORDS)
    return rng.choice(("https://example.org", "example.org", "http://u:pw@example.org")) + end


def _discord(rng: random.Random) -> str:
    snowflake = str(rng.randrange(10**17, 10**19))
    return rng.choice(
        (snowflake, f"<@{snowflake}>", f"<@!{snowflake}>", f"{rng.choice(WORDS)}#{_digits(rng, 4)}")
    )


def _hardware(rng: random.Random) -> str:
    raw = f"{rng.randrange(2**40, 2**48):012x}"
    pairs = [raw[at : at + 2] for at in range(0, 12, 2)]
    return rng.choice(
        (":".join(pairs), "-".join(pairs).upper(), ".".join(raw[at : at + 4] for at in (0, 4, 8)))
    )


def _named_hardware(rng: random.Random) -> str:
    raw = f"{rng.randrange(2**40, 2**48):012x}"
    pairs = "_".join(raw[at : at + 2] for at in range(0, 12, 2))
    return rng.choice(
        (pairs if re.search("[a-f]", raw) else f"mac {raw}", f"MAC {raw}", f"mac={raw.upper()}")
    )


def _broken(rng: random.Random, text: str) -> str:
    """With a line break for one of its spaces."""
    before, after = text.split(" ", 1) if rng.random() < 0.5 else text.rsplit(" ", 1)
    return before + rng.choice(BREAKS) + after


def _dodged(rng: random.Random) -> str:
    at, dot = rng.choice(
        (
            (" [at] ", " [dot] "),
            ("(at)", "."),
            ("[at]", "[.]"),
            (" (at) ", " (dot) "),
            (" at ", " dot "),
        )
    )
    local, _, domain = _email(rng).partition("@")
    return local.replace(".", "_") + at + domain.replace(".", dot)


def _named(rng: random.Random) -> str:
    return (
        _email(rng).replace("@", rng.choice((" at ", " AT ", "_at_", "-at-"))).replace(".io", ".de")
    )


def _spoken(rng: random.Random) -> str:
    """As it is said in other languages: the words of the sign and of the dot, or of the sign alone."""
    at, dot = rng.choice(SAID)
    local, _, domain = _email(rng).partition("@")
    if rng.random() < 0.5:
        domain = domain.replace(".", f" {dot} ")
    return f"{local} {at} {domain}"


SAID = (
    ("arroba", "punto"),
    ("arroba", "ponto"),
    ("arobase", "point"),
    ("chiocciola", "punto"),
    ("ma\u0142pa", "kropka"),
    ("\u0441\u043e\u0431\u0430\u043a\u0430", "\u0442\u043e\u0447\u043a\u0430"),
    ("zavin\u00e1\u010d", "te\u010dka"),
    ("kukac", "pont"),
    ("\u30a2\u30c3\u30c8\u30de\u30fc\u30af", "\u30c9\u30c3\u30c8"),
)
PASSWORDS = (
    "Passwort", "mot de passe", "contrase\u00f1a", "senha", "wachtwoord", "l\u00f6senord", "adgangskode",
    "passord", "salasana", "has\u0142o", "heslo", "jelsz\u00f3", "\u015fifre", "m\u1eadt kh\u1ea9u",
    "kata sandi", "\u043f\u0430\u0440\u043e\u043b\u044c", "\u5bc6\u7801", "\u5bc6\u78bc",
    "\u30d1\u30b9\u30ef\u30fc\u30c9",
    "\ube44\ubc00\ubc88\ud638", "PGPASSWORD", "dbpassword",
)  # fmt: skip
BREAKS = ("\n", "\r\n", "<br>", "<br/>", "\n  ")
CAMEL = ("dbPassword", "appSecret", "userToken", "awsAccessKey", "smtpPasswd")


CLASSES: dict[str, Draw] = {
    "e-mail": _email,
    "e-mail, no dotted domain": _host,
    "e-mail, other signs": lambda r: _respelled(r, _email(r)),
    "e-mail, invisible characters": lambda r: _hidden(r, _email(r)),
    "e-mail, full width": lambda r: _wide(_email(r)),
    "e-mail, spaces about the @": lambda r: _email(r).replace(
        "@", r.choice((" @ ", "@ ", " @", "\u3000@\u3000"))
    ),
    "e-mail, `at` and `dot`": _dodged,
    "e-mail, `at` alone": _named,
    "e-mail, percent": lambda r: _percent(_email(r)),
    "e-mail, percent twice": lambda r: _percent(_percent(_email(r))),
    "e-mail, entities": lambda r: _entities(r, _email(r)),
    "e-mail, entities twice": lambda r: html.escape(_entities(r, _email(r))),
    "e-mail, named entity": lambda r: _email(r).replace("@", "&commat;").replace(".", "&period;"),
    "e-mail, escapes": lambda r: _escaped(_email(r)),
    "e-mail, quoted-printable": lambda r: _email(r).replace("@", "=40"),
    "e-mail, base64": lambda r: _b64(_email(r)),
    "e-mail, base64 without padding": lambda r: _b64(_email(r)).rstrip("="),
    "e-mail, base64 twice": lambda r: _b64(_b64(_email(r))),
    "e-mail, base32": lambda r: base64.b32encode(_email(r).encode()).decode().rstrip("="),
    "e-mail, hexadecimal": lambda r: _email(r).encode().hex(),
    "e-mail, hexadecimal in capitals": lambda r: _email(r).encode().hex().upper(),
    "phone": _phone,
    "phone, any gap": lambda r: _phone(r, r.choice(GAPS)),
    "phone, no gap": lambda r: _phone(r, ""),
    "phone, letters before": lambda r: _before(r, re.sub(r"\D", "", _phone(r, ""))),
    "phone, full width": lambda r: _wide(_phone(r)),
    "phone, other digits": lambda r: _other_digits(r, _phone(r)),
    "phone, invisible characters": lambda r: _hidden(r, _phone(r, r.choice(("", " ")))),
    "phone, commas": lambda r: f"0{_digits(r, 3)},{r.randrange(100, 999)},{_digits(r, 4)}",
    "phone, percent": lambda r: _percent(_phone(r)),
    "phone, base64": lambda r: _b64(_phone(r)),
    "phone, hexadecimal": lambda r: _phone(r).encode().hex(),
    "card": _card,
    "card, any gap": lambda r: _card(r, r.choice(GAPS)),
    "card, no gap, letters before": lambda r: _before(r, _card(r, "")),
    "card, full width": lambda r: _wide(_card(r)),
    "card, base64": lambda r: _b64(_card(r, "")),
    "card, commas": lambda r: _card_of(r, *r.choice(((16, "4"), (16, "51"))), ", "),
    "IBAN": _iban,
    "IPv4": _ipv4,
    "IPv4, letters before": lambda r: r.choice(("host_", "ip", "addr-", "from:")) + _ipv4(r),
    "IPv4, v before": lambda r: (
        f"v{r.choice(('192.0.2', '203.0.113', '198.51.100'))}.{r.randrange(1, 255)}"
    ),
    "IPv4, other dots": lambda r: _ipv4(r).replace(".", r.choice(DOTS)),
    "IPv4, invisible characters": lambda r: _hidden(r, _ipv4(r)),
    "IPv4, hexadecimal or base64": lambda r: r.choice((_b64, lambda t: t.encode().hex()))(_ipv4(r)),
    "IPv6": _ipv6,
    "IPv6, of letters": _letters_ipv6,
    "IPv6, letters before": lambda r: r.choice(("ip_", "host-", "v6=")) + _ipv6(r),
    "IPv6, as a host's name": _written_ipv6,
    "hardware address": _hardware,
    "JWT": _jwt,
    "key or password": _token,
    "URL with a query, a fragment or a password": _url,
    "Discord name, id or mention": _discord,
    "phone, in two lines": lambda r: _broken(
        r, f"0{_digits(r, 3)} {r.randrange(100, 999)} {r.randrange(1000, 9999)}"
    ),
    "card, in lines": lambda r: _card_of(r, 16, r.choice(("4", "51")), r.choice(BREAKS)),
    "IPv4, a dot in brackets": lambda r: r.choice(("[.]", "(.)", "[dot]")).join(
        _ipv4(r).rsplit(".", 1)
    ),
    "hardware address, underscores or named": _named_hardware,
    "e-mail, the sign in other languages": _spoken,
    "password, in other languages and compounds": lambda r: (
        r.choice(PASSWORDS) + r.choice(("=", ": ", " : ", "\uff1a")) + _b64(_digits(r, 9))
    ),
    "password or token, in camel case": lambda r: (
        f"{r.choice(CAMEL)}{r.choice(('=', ': ', ':'))}{_b64(_digits(r, 9))}"
    ),
}
FRAMES = (
    "{}",
    "please call {} today",
    "von {} bis morgen",
    "({})",
    "contact: {}",
    "{}, thanks",
    "連絡先は{}です",
    "\n{}\n",
    '"{}"',
)


def pieces(planted: str) -> set[str]:
    """What may not be left of it: any six characters on end, as they are and in compatibility form."""
    forms = planted, unicodedata.normalize("NFKC", planted)
    return {form[at : at + 6] for form in forms for at in range(max(len(form) - 5, 1))}


def drawn(rng: random.Random, each: int) -> Iterator[tuple[str, str, str]]:
    """(class, text, what must not be in it any more) of each class so many times."""
    for name, draw in CLASSES.items():
        for _ in range(each):
            planted = draw(rng)
            yield name, rng.choice(FRAMES).format(planted), planted
