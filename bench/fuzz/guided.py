"""What atheris finds, guided by coverage, in a process that ends with it."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from platformdirs import user_cache_path

from fuzz.inputs import Corpus
from fuzz.run import Run
from fuzz.target import SIGNALS, WAYS, Input

ATHERIS = user_cache_path("footfall") / f"atheris-{sys.version_info[0]}.{sys.version_info[1]}"


def install() -> None:
    """Puts atheris beside the user's caches; it is no dependency of ours."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", ATHERIS]
    subprocess.run([*command, "atheris"], check=True)
    print(f"installed to {ATHERIS}")


def _ours() -> Iterator[FunctionType]:
    """The functions and methods whose coverage guides."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("footfall_collector", "footfall_processors")):
            kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
            for holder in (module, *kinds):
                for each in vars(holder).values():
                    if isinstance(each, FunctionType) and each.__module__ == name:
                        yield each


def guided(seed: int, inputs: int, folder: Path) -> None:
    """Runs atheris in this process, which ends with it; answers are written as they come."""
    sys.path.append(str(ATHERIS))
    import atheris  # type: ignore[import-not-found]  # noqa: PLC0415, RUF100

    corpus = Corpus(random.Random(seed), each=30)
    kept = folder / "corpus"
    kept.mkdir()
    for at, kind in enumerate(SIGNALS):
        for number, body in enumerate(corpus.protobuf[kind]):
            (kept / f"{kind}-{number}").write_bytes(bytes([at]) + body)
        for number, text in enumerate(corpus.json[kind]):
            (kept / f"{kind}-{number}.json").write_bytes(bytes([at + 3]) + text.encode())
    run = Run(folder, f"{seed}-atheris")
    answers = folder / "atheris.json"

    def one(data: bytes) -> None:
        first = data[0] if data else 0
        run.one(Input("atheris", SIGNALS[first % 3], WAYS[first // 3 % 2], data[1:]))
        number = run.result.answers.total()
        if number % 500 == 0 or number == inputs:
            found = [[answer, n] for (_, answer), n in run.result.answers.items()]
            answers.write_text(json.dumps(found))

    for function in list(_ours()):
        atheris.instrument_func(function)
    options = [
        f"-runs={inputs}",
        f"-seed={seed}",
        "-max_len=4096",
        "-verbosity=0",
        "-close_fd_mask=3",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(kept)], one)
    atheris.Fuzz()
