"""Keys, tokens and passwords: what opens something, as those who give them out write it."""

import re
from typing import Final

_PASSWORDS: Final = (
    "password|passwd|passphrase|passwort|kennwort|пароль|Пароль|ПАРОЛЬ|密码|密碼|口令|パスワード|暗証番号|비밀번호"
    "|كلمة المرور|كلمة السر|סיסמה|סיסמא|पासवर्ड|รหัสผ่าน"
)
"""What says it within a word as well: `PGPASSWORD=...`."""
NAMED: Final = re.compile(
    rf"(?:(?i:{_PASSWORDS})|(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
    r"(?i:pass(?:word|wd|phrase|code)|(?:pass|pw)(?:(?==)|(?=[\"']?\s{0,2}:\s{0,2}[\"']?(?!v\d)[a-z](?=\S{6})[^\s\d]{0,31}\d))"
    r"|contraseña|mot de passe|senha|palavra-passe|wachtwoord|l[öo]senord|adgangskode|passord|salasana"
    r"|has[łl]o|heslo|jelsz[óo]|[şs]ifre|kata sandi|m[ậa]t kh[ẩa]u|x-(?:amz|goog)-(?:signature|credential)"
    r"|pwd|secret|(?:access|refresh|auth|id|session|bearer|csrf|xsrf)?[_-]?token|csrf|xsrf|(?:php|j)sessid|jsessionid"
    r"|session[_-]?id|(?:api|secret|private|access|account|master|signing|encryption)[_-]?(?:access[_-]?)?key"
    r"|(?:api|private|access|signing|encryption) key))"
    r"[\"']?\s{0,2}[=:]\s{0,2}\S+",
    re.ASCII,
)
"""Behind its name: `password=...`, `dbPassword: ...`; after `pass:` only seven signs or more with a digit,
unlike `pass: 12`."""
PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{1,32}-----)?"
)
JWT: Final = re.compile(
    r"(?<![\w-])(?=(?:[\w-]{0,63}?[_-])?eyJ)[\w-]{8,}+\.[\w-]{5,}+(?:\.[\w-]*+)?", re.ASCII
)
PREFIXED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|gh[oprsu]|github_pat|glpat|xox[abeprs])[_-]"
    r"[\w-]{16,}+|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}+|ya29\.[\w-]{16,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+)",
    re.ASCII,
)
HEX: Final = re.compile(r"(?<!\w)[A-Fa-f0-9]{32,}+(?!\w)", re.ASCII)
"""Keys and digests."""
SCHEME: Final = re.compile(
    r"(?<!\w)(?i:bearer|basic|bot|token)(?:[:=]\s{0,4}|\s{1,4})(?=[\w.~+/=-]*?(?:\d|[a-z][A-Z]))[\w.~+/=-]{12,}+",
    re.ASCII,
)
DISCORD: Final = re.compile(r"(?<![\w-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}+", re.ASCII)
"""Discord's bots."""
FORTY: Final = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])")
"""A secret key of AWS, which may have slashes."""
RUN: Final = re.compile(r"(?<![\w-])[\w-]{30,}+", re.ASCII)
_MIXED: Final = re.compile(r"(?=[A-Za-z]{0,15}\d)(?=\d{0,15}[A-Za-z])[A-Za-z0-9]{16}")
_RISES: Final = 4
"""Capitals after small letters, at least, of forty by chance."""


def run(match: re.Match[str]) -> str:
    """`[key]`; a token mixes letters and digits at length, unlike `Team-Blue-2-and-further-words`."""
    return "[key]" if _MIXED.search(match.group()) else match.group()


def forty(match: re.Match[str]) -> str:
    """`[key]`, or the text as it is: a path."""
    text = match.group()
    by_chance = len(re.findall("[a-z][A-Z]", text)) >= _RISES and re.search(r"\d", text)
    return "[key]" if by_chance else text
