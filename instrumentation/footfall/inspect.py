"""What Footfall keeps on this machine for this user: `footfall inspect`, `python -m footfall.inspect`.

It shows what was decided and what `local` mode has kept: exactly what would have been sent. It sends
nothing. What a program in mode `on` is about to send is in that program's memory, for seconds, and cannot
be seen from here; in mode `local` the same requests are kept instead.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from footfall._consent.inspection import InspectError, Inspection
from footfall_processors.document import DocumentError

SHOWN: Final = 50
"""Observations that are listed; `--json` has all of them."""
NOTHING: Final = (
    "Nothing is kept on this machine. A program that sends keeps what waits in its memory, for seconds;"
    " in mode local it is kept here instead."
)

_MODES: Final = {"on": "yes", "local": "on this machine only", "off": "no"}


def show(inspection: Inspection, *, as_json: bool = False, payloads: bool = False) -> str:
    """What the command prints.

    Args:
        inspection: What was found.
        as_json: One JSON object instead of text.
        payloads: The requests themselves, each a line of OTLP/JSON.
    """
    if payloads:
        return "\n".join(json.dumps(payload) for payload in inspection.payloads())
    if as_json:
        found = {
            "product": inspection.product,
            "consent": inspection.consent,
            "requests": len(inspection.requests),
            "programs": inspection.programs(),
            "observations": inspection.observations(),
            "counts": inspection.counts(),
            "dropped": [dropped._asdict() for dropped in inspection.dropped],
        }
        return json.dumps(found, indent=2)
    return "\n".join([*_about_consent(inspection), *_about_events(inspection)])


def write_raw(inspection: Inspection, folder: Path) -> list[Path]:
    """Writes each request's bytes to a file of its own in a new folder.

    Raises:
        InspectError: the folder exists, or cannot be written.
    """
    paths = []
    try:
        folder.mkdir(0o700)
        for number, request in enumerate(inspection.requests, 1):
            paths.append(folder / f"{number:04}-{request.signal}.bin")
            paths[-1].write_bytes(request.body)
    except OSError as error:
        raise InspectError(f"{folder} cannot be written: {error.strerror}") from None
    return paths


def run(
    product: str | None = None,
    catalog: str | None = None,
    folder: Path | None = None,
    *,
    as_json: bool = False,
    payloads: bool = False,
    raw: Path | None = None,
) -> int:
    """Prints; see `Inspection` and `show`.

    Args:
        product: The product's name.
        catalog: Its `events.yaml`.
        folder: Where the program keeps everything.
        as_json: As JSON.
        payloads: What would be sent.
        raw: A new folder to write its bytes to, instead.

    Returns:
        The exit status: 0; 1 when nothing can be shown; 2 for a wrong catalog.
    """
    try:
        inspection = Inspection(product, catalog, folder)
        if raw is not None:
            print(*write_raw(inspection, raw), sep="\n")
        elif text := show(inspection, as_json=as_json, payloads=payloads):
            print(text)
        if not inspection.requests:
            print(NOTHING, file=sys.stderr)
    except DocumentError as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)
        return 2
    except (InspectError, DecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m footfall.inspect`."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("footfall.inspect", description=about)
    parser.add_argument("--product", help="the product's name, where there are several")
    parser.add_argument(
        "--catalog", help="its events.yaml, to see what it allows beyond the consent"
    )
    parser.add_argument("--folder", type=Path, help="where the program keeps all this, if it chose")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    parser.add_argument(
        "--next",
        action="store_true",
        dest="payloads",
        help="print what would be sent, as OTLP/JSON",
    )
    parser.add_argument(
        "--raw", type=Path, metavar="FOLDER", help="write what would be sent to a new folder"
    )
    asked = vars(parser.parse_args(arguments))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a catalog may say what its encoding lacks
        sys.stdout.reconfigure(errors="replace")
    try:
        status = run(**asked)
        if sys.stdout is not None:  # closed
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        # Python flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # nobody who reads any more is no word worth
            print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return status


def _about_consent(inspection: Inspection) -> Iterator[str]:
    consent = inspection.consent
    yield f"Product: {inspection.product}"
    if not consent["decided"]:
        yield "Consent: nothing was decided; telemetry is off"
    else:
        yield f"Consent: {_MODES[consent['mode']]} since {consent['since']} (UTC)"
    if changes := consent.get("changes"):
        yield "The catalog allows what was not agreed to; telemetry is off until it is:"
        yield from (f"  - {line}" for line in changes)
    elif "changes" in consent:
        yield "The catalog allows nothing that was not agreed to."


def _about_events(inspection: Inspection) -> Iterator[str]:
    observations = inspection.observations()
    if inspection.requests:
        yield f"Kept on this machine: {len(inspection.requests)} requests; none of them was sent."
    if observations:
        yield ""
        yield f"Observations: {len(observations)}, the last {min(SHOWN, len(observations))} (UTC):"
        for each in observations[-SHOWN:]:
            yield f"  {each['time']}  {each['event']}  {each['ms']} ms  {_pairs(each['attributes'])}"
    yield from _listed("Counts:", (_count(each) for each in inspection.counts()))
    yield from _listed("Programs:", map(_pairs, inspection.programs()))
    yield from _listed(
        "Pushed out by later ones:",
        (
            f"{each.requests} requests of {each.signal}, {each.items} items"
            for each in inspection.dropped
        ),
    )


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", title, *(f"  {line}" for line in found))


def _count(count: dict[str, Any]) -> str:
    return f"{count['number']:>8}  {count['event']}  {_pairs(count['attributes'])}"


def _pairs(attributes: dict[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in attributes.items())


if __name__ == "__main__":
    sys.exit(main())
