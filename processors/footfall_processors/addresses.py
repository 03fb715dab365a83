"""E-mail and network addresses, as people and programs write them."""

import ipaddress
import re
from typing import Final

_LOCAL: Final = r"(?:[\w.!#$%&'*+/=?^`{|}~-]{1,64}+|\"[^\"\n]{1,64}+\")"
_LABEL: Final = r"[\w-]{1,63}"
EMAIL: Final = re.compile(
    rf"{_LOCAL}[ \t]{{0,2}}@{{1,2}}[ \t]{{0,2}}(?P<domain>{_LABEL}(?:(?:\.|[ \t]\.[ \t]){_LABEL}){{1,8}})"
)
BARE: Final = re.compile(rf"{_LOCAL}@(?P<domain>{_LABEL}|\[[0-9A-Fa-f:.]{{2,45}}\])")
"""An address without a dot in its domain: `root@host-1`."""
QUOTED: Final = re.compile(
    rf"(?:[\w.+-]|%[0-9A-Fa-f]{{2}}){{1,64}}[=%]40(?P<domain>{_LABEL}(?:(?:\.|[=%]2[Ee]){_LABEL}){{1,8}})"
)
"""As mail programs (RFC 2045, quoted-printable) and paths have it."""
AT_SIGNS: Final = (
    "arroba|arobase|chiocciola|ma[łl]pa|собака|zavin[áa][čc]|kukac|アット(?:マーク)?|あっと|艾特"
)
"""What the sign is called in Spanish and Portuguese, French, Italian, Polish, Russian, Czech and Slovak,
Hungarian, Japanese and Chinese."""
DODGING: Final = re.compile(rf"[\[({{<][ \t]?(?i:at|@|ät|{AT_SIGNS})[ \t]?[\])}}>]")
_DOT: Final = r"(?:\.|[ \t]{0,2}[\[({<][ \t]?(?i:dot|punkt|\.)[ \t]?[\])}>][ \t]{0,2})"
DODGED: Final = re.compile(
    rf"[\w.+-]{{1,64}}+[ \t]{{0,2}}{DODGING.pattern}[ \t]{{0,2}}{_LABEL}(?:{_DOT}{_LABEL}){{0,8}}"
)
"""`user [at] example [dot] org`."""
_AT, _SAID_DOT = r"(?i:at|ät|arroba)", r"(?i:dot|punkt|punto|ponto)"
SPEAKING: Final = re.compile(rf" -?{_AT}-? [^\s]{{1,63}}+ -?{_SAID_DOT}-? ")
SPOKEN: Final = re.compile(
    rf"[\w.+-]{{1,64}}+ -?{_AT}-? {_LABEL}(?: -?{_SAID_DOT}-? {_LABEL}){{0,4}}"
    rf" -?{_SAID_DOT}-? (?i:com|org|net|edu|gov|info|dev|app|example|test|[a-z]{{2}})(?![A-Za-z0-9_])"
)
"""`user at example dot org`, `user -at- example -dot- org`."""
SAYING: Final = re.compile(rf" -?(?i:{AT_SIGNS})-? ")
SAID: Final = re.compile(
    rf"[\w.+-]{{1,64}}+ -?(?i:{AT_SIGNS})-? {_LABEL}"
    rf"(?:(?:\.| -?(?i:dot|punkt|punto|ponto|point|kropka|точка|te[čc]ka|pont|ドット|点)-? ){_LABEL}){{1,4}}"
)
"""`user małpa example.org`, `user собака example точка org`."""
_ENDS: Final = r"(?![A-Za-z0-9_])"
_TLD: Final = (
    rf"(?i:com|org|net|edu|gov|info|example|io|eu|de|fr|uk|nl|it|es|at|ch|pl|se|jp|br){_ENDS}"
)
NAMING: Final = re.compile(
    r"[ _-](?i:at)[ _-]{1,2}[\w-]{1,63}(?:\.\w|[_-](?i:dot)[_-])|[\[(](?i:a)[\])]"
)
NAMED: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}?(?: (?i:at) |[_-]{1,2}(?i:at)[_-]{1,2}|[\[(](?i:a)[\])])"
    rf"(?:{_LABEL}(?:\.{_LABEL}){{0,4}}?\.|(?:[A-Za-z0-9]{{1,63}}[_-](?i:dot)[_-]){{1,4}}){_TLD}"
)
"""`user at example.org`, `user_at_example.org`, `user_at_example_dot_org`; not `error at main.py`."""
_RELEASE: Final = re.compile(
    r"v?\d+(?:\.\d+)*(?:[.-](?:alpha|beta|rc|dev|post|next|canary)[.\w-]*)?|v?\d+(?:\.[\dx*]+)*"
    r"|\d{1,4}(?:x|k|p|hz|fps|px|dpi)(?:\.\w{2,4})?|latest|next|beta|alpha|canary|stable|dev|main|master|head",
    re.I,
)
"""After an `@` in names of packages and pictures: `react@18.2.0`, `icon@2x.png`."""
IPV4: Final = re.compile(
    r"(?<![0-9.+])(?<![0-9][ \t]\.[ \t])(?<![0-9]\.[ \t])"
    r"(?P<prefix>(?<![A-Za-z0-9])(?:v|ver|version|r|rel|release|build|rc)[ .]?)?"
    r"\d{1,3}(?:(?:(?:\.|[\[({<](?:\.|dot)[\])}>])\d{1,3}){3}"
    r"|(?P<sign>[ \t]?\.[ \t]?|[_-])\d{1,3}(?:(?P=sign)\d{1,3}){2})(?![0-9]|[ \t]?\.[ \t]?[0-9])",
    re.ASCII,
)
IPV6: Final = re.compile(
    r"(?<![0-9A-Fa-f])(?:[0-9A-F]{0,4}:){2,7}[0-9A-F.]{0,15}(?![0-9A-Za-z_])", re.ASCII | re.I
)
WRITTEN_IPV6: Final = re.compile(
    r"(?<![0-9A-Z-])(?:(?=[0-9_-]{0,39}[A-F])[0-9A-F]{1,4}(?P<sign>[-_])(?:[0-9A-F]{1,4}(?P=sign)){6}"
    r"[0-9A-F]{1,4}(?![0-9A-Z_-])(?:\.ipv6-literal\.net)?"
    r"|[0-9A-F-]{3,40}(?:s[0-9]{1,5})?\.ipv6-literal\.net|(?:[0-9A-F]\.){8,32}ip6\.arpa)",
    re.ASCII | re.I,
)
"""As names of hosts and files have it: `2001-db8-0-0-0-0-0-1`."""
HARDWARE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?!(?:\d\d[. _]){5}\d\d(?![0-9A-Fa-f]))"
    r"(?:(?:[0-9A-F]{2}[:. _-]){5}[0-9A-F]{2}|(?:[0-9A-F]{4}\.){2}[0-9A-F]{4})(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z:])(?=(?:[0-9A-F]:){0,3}[0-9A-F]{2}:)(?=[A-F:]{0,9}[0-9])(?=[0-9:]{0,15}[A-F])"
    r"(?:[0-9A-F]{1,2}:){5}[0-9A-F]{1,2}(?![0-9A-Za-z:])",
    re.ASCII | re.I,
)
"""The latter without leading zeros: `0:1b:44:11:3a:b7`."""
NAMED_HARDWARE: Final = re.compile(
    r"(?<![a-z])(?P<name>(?:mac(?:[ _-]?addr(?:ess)?)?|hwaddr|bssid|ether)"
    r"[\"']?[ \t]{0,2}[=: ][ \t]{0,2}[\"']?)[0-9a-f]{12}(?![0-9a-z])",
    re.ASCII | re.I,
)
"""Without signs, beside its name: twelve hexadecimal digits alone are a hash as well."""
_SMALL: Final = 99
"""Parts of a version; an address that has only such is one of a private network, or nobody's."""


def email(match: re.Match[str]) -> str:
    """`[email]`, or the text as it is: a release of a package, a picture."""
    domain = match["domain"]
    release = _RELEASE.fullmatch(domain) is not None and not _is_address(domain)
    return match.group() if release else "[email]"


def ipv4(match: re.Match[str]) -> str:
    """`[ip]`, or the text as it is: a version, a date, a list."""
    text = match.group()
    found = text[len(match["prefix"] or "") :]
    parts = [int(part) for part in re.findall(r"\d+", found)]
    if max(parts) > 255:
        return text
    small, dashed = max(parts) <= _SMALL, match["sign"] in ("-", "_")
    before = match.string[max(match.start() - 2, 0) : match.start()].lower()
    if small and (match["prefix"] or (dashed and not before.startswith("ip"))):
        return text
    return f"{text[: len(text) - len(found)]}[ip]"


def ipv6(match: re.Match[str]) -> str:
    """`[ip]` in place of the address, or the text as it is: `a::b`, a time."""
    text = match.group()
    for address in (text, text.rstrip(":."), text.lstrip(":"), text.strip(":.")):
        if _is_address(address):
            wide = len([group for group in address.split(":") if group]) > 2
            return text.replace(address, "[ip]") if wide or re.search(r"\d", address) else text
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
