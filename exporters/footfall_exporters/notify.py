"""Sends a notice to people, by mail, to a chat or a webhook: by apprise, one URL a target (R-number A10).

A URL holds a password or a token. It is in no message, and what apprise and the libraries below it would
log is not logged: whoever sends is told whether the target took it.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from footfall_processors.notice import FORMATS, Notice

Tone = Literal["info", "success", "warning"]
SERVICE_S: Final = 60.0
"""Seconds that a target may take."""
_READ_BY_PROGRAMS: Final = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_MAIL: Final = frozenset(
    ("mailto", "mailtos", "azure", "brevo", "mailgun", "o365", "resend", "sendgrid", "ses")
)  # fmt: skip
_MENTION: Final = re.compile(r"@(?=[\w&!])")
"""What a chat, or apprise on the way there, could take for somebody to call: @everyone, @here, <@123>."""
_LIBRARIES: Final = ("apprise", "requests_oauthlib", "oauthlib", "urllib3")


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told.

    Attributes:
        service: What it is, as apprise calls it, such as `Discord`.
        schema: Of its URL, of which nothing else is told.
        form: What it shows best: `html`, `markdown` or `text`.
    """

    service: str
    schema: str
    form: str
    _url: str = field(repr=False)

    def body(self, notice: Notice) -> str:
        """What it is sent, below its title; it calls nobody, whatever a catalog says."""
        whole = FORMATS[self.form](notice)
        return self._inert(whole if self.form == "html" else whole.partition("\n\n")[2])

    def send(self, notice: Notice, tone: Tone = "info") -> bool:
        """Sends it, in as many parts as it takes; whether all of it was taken. It waits for that.

        Args:
            notice: What is sent.
            tone: How it is shown, where the service has colours or signs.
        """
        plugin, apprise = _plugin(self._url), _apprise()
        if plugin is None:
            return False
        sender = apprise.Apprise(plugin, asset=plugin.asset)
        body, form = self.body(notice), apprise.NotifyFormat(self.form)
        title, kind = self._inert(notice.title), apprise.NotifyType(tone)
        return bool(sender.notify(body=body, title=title, notify_type=kind, body_format=form))

    def _inert(self, text: str) -> str:
        """With a space of no width in each mention; mail and webhooks know none."""
        if self.schema in _MAIL | _READ_BY_PROGRAMS:
            return text
        return _MENTION.sub("@\u200b", text)


def target(url: str) -> Target | None:
    """What a URL of apprise stands for; None: it knows none like that.

    Raises:
        ImportError: apprise is not installed.
    """
    plugin = _plugin(url)
    if plugin is None:
        return None
    return Target(str(plugin.service_name), url.partition("://")[0], _form(plugin), url)


def targets(urls: Mapping[str, str]) -> Mapping[str, Target]:
    """What URLs of a checked configuration stand for, by their names.

    Raises:
        ImportError: apprise is not installed.
    """
    found = {name: target(url) for name, url in urls.items()}
    return {name: each for name, each in found.items() if each is not None}


def _plugin(url: str) -> Any:
    """Apprise's own; it keeps nothing on the disk, and cuts into parts what is too long for a chat."""
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="Footfall",
        app_desc="Footfall",
        app_url="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=SERVICE_S,
    )
    plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is not None and "overflow=" not in url:
        plugin.overflow_mode = apprise.OverflowMode.SPLIT
    return plugin


def _form(plugin: Any) -> str:
    """What the URL asks for; else HTML where that comes first, as in mail, or Markdown where it is known."""
    found = plugin.notify_format
    forms = [str(form.value) for form in (found if isinstance(found, tuple) else (found,))]
    best = "html" if forms[0] == "html" else "markdown" if "markdown" in forms else "text"
    return str(plugin.resolve_format(_apprise().NotifyFormat(best)).value)


def _apprise() -> Any:
    """The library, silent: its lines quote URLs."""
    import apprise

    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return apprise
