"""Folders that are named after whose they are."""

import re
from typing import Final

FOLDERS: Final = (
    "(?i:Users|Documents and Settings|Dokumente und Einstellungen|Benutzer|Utilisateurs|Usu[aá]rios|Utenti"
    "|Gebruikers|Użytkownicy)|Пользователи|用户"
)
"""What Windows calls the folder of the homes, and shows instead of its name."""
_UNIX: Final = (
    r"(?<![\w.])(?:(?:/(?:var|export|usr|data|mnt))?/home|/run/media)/|(?<![\w.])(?:/mnt)?(?:/[a-z])?/Users/"
    r"|(?<![\w\\])\\{1,2}(?i:Users)\\{1,2}|\\[\w.-]{1,63}[\\/]{1,2}(?i:users|homes?|profiles?)\$[\\/]{1,2}"
)
_WINDOWS: Final = rf"[\\/]{{1,2}}(?:{FOLDERS})[\\/]{{1,2}}"
_BEGIN: Final = r"[^\\/\s\"'<>|:*?{$%[(~.,;]"
_NAME: Final = rf"{_BEGIN}(?:[^\\/\n\"'<>|:*?]{{0,63}}(?=[\\/])|[^\\/\s\"'<>|:*?]{{0,63}})"
HOME: Final = re.compile(
    rf"(?P<before>{_UNIX}|(?:(?<![A-Za-z])[A-Za-z]:|\\[\w.-]{{1,63}}){_WINDOWS}){_NAME}"
    r"|(?P<tilde>(?<![\w~/])~)[a-z_][\w.-]{1,31}(?=/)",
    re.ASCII,
)
"""`/home/NAME`, `/Users/NAME`, `C:\\Users\\NAME`, `\\\\server\\users$\\NAME`, `~NAME/`;
not a template such as `/home/{user}`."""


def home(match: re.Match[str]) -> str:
    """The path with `[name]` in it."""
    return f"{match['before'] or match['tilde']}[name]"
