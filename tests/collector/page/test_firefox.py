"""A second engine: Debian's Firefox, over WebDriver BiDi, draws every page and finds no error in it."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from collector.page.conftest import READY
from collector.page.test_pages import PAGES

STARTED = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
DRAWN = f"""new Promise((done) => {{
    const look = () => document.querySelector("{READY}")
        ? done([document.querySelector("h1").innerText, document.querySelectorAll(".chart svg path").length])
        : setTimeout(look, 50);
    look();
}})"""


class Firefox:
    """One that runs.

    Args:
        session: WebDriver BiDi.
    """

    def __init__(self, session):
        self._session, self._numbers = session, itertools.count(1)
        self.wrong = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        [tab] = self.call("browsingContext.getTree")["contexts"]
        self._tab = tab["context"]

    def call(self, method, **parameters):
        number = next(self._numbers)
        self._session.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._session.recv(60))
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.wrong.append(said["params"]["text"])
            if said.get("id") == number:
                assert said["type"] == "success", said
                return said["result"]

    def drawn(self, url):
        """The heading of a page that is drawn, and how much its charts have."""
        self.call("browsingContext.navigate", context=self._tab, url=url, wait="complete")
        target = {"context": self._tab}
        found = self.call("script.evaluate", expression=DRAWN, target=target, awaitPromise=True)
        return [each["value"] for each in found["result"]["value"]]


@contextmanager
def started(profile: Path) -> Iterator[Firefox]:
    command = ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile)]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port", "0"], stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stderr is not None
            address = next(found[1] for line in process.stderr if (found := STARTED.search(line)))
            with connect(f"{address}/session", max_size=None) as session:
                yield Firefox(session)
        finally:
            process.terminate()


def test_firefox_draws_every_page_without_an_error(site, tmp_path):
    if shutil.which("firefox-esr") is None:
        pytest.skip("needs Firefox: apt-get install firefox-esr")
    with started(tmp_path) as firefox:
        for path, said in PAGES.items():
            heading, charts = firefox.drawn(site + path)
            assert said in heading, path
            assert charts or path in ("/live", "/catalog"), path
        assert firefox.wrong == []
