import doctest
import importlib
import pkgutil
import textwrap

import pytest

import footfall
from instrumentation.programs import python, run

HEAVY = (
    "grpc",
    "requests",
    "google",
    "fastapi",
    "starlette",
    "discord",
    "django",
    "flask",
    "psycopg",
    "racetime_bot",
    "aiohttp",
    "websockets",
)


def test_import_brings_no_exporter_and_no_framework():
    found = python("""
        import sys, footfall
        footfall.configure("events.yaml")
        with footfall.feature("any"): pass
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """).split()
    assert "footfall" in found
    assert not {*HEAVY, "opentelemetry", "footfall_processors", "yaml"} & set(found)


def test_exporters_are_imported_when_telemetry_is_turned_on(catalog):
    found = python(f"""
        import sys, footfall
        footfall.configure({str(catalog)!r}, "http://127.0.0.1:9", enabled=True)
        print(*sorted({{name.split(".")[0] for name in sys.modules}}))
        footfall.shutdown(0)
    """).split()
    assert "grpc" in found
    assert not set(HEAVY[3:]) & set(found)


def test_import_costs_little_over_opentelemetry(tmp_path):
    """60 ms where OpenTelemetry takes 150. CPU time, the best of several: what else goes on only adds."""
    cost = """
        import time
        begun = time.process_time()
        import opentelemetry.sdk.trace, opentelemetry.sdk.metrics
        before = time.process_time()
        import footfall
        print((time.process_time() - before) / (before - begun))
    """
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    assert min(float(python(cost, **compiled)) for _ in range(4)) < 0.4


@pytest.mark.parametrize(
    "name", [m.name for m in pkgutil.iter_modules(footfall.__path__, "footfall.")] + ["footfall"]
)
def test_examples_in_docstrings_run(name):
    # Doctest looks at `footfall.consent`, which imports this one then, while it goes through the names.
    importlib.import_module("footfall._consent.unasked")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_users_programs_pass_mypy_strict(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import footfall

            @footfall.feature("shop.order")
            def order(number: int, *, gift: bool = False) -> str:
                return str(number)

            @footfall.feature("shop.order")
            async def order_later(number: int) -> str:
                return str(number)

            class Shop:
                @footfall.feature("shop.order")
                def order(self, number: int) -> int:
                    return number

            async def main() -> None:
                with footfall.feature("shop.order", provider="smz3") as use:
                    use.set(items=3)
                    use.fail(ValueError())
                async with footfall.feature("shop.order"):
                    reveal_type(await order_later(1))
                reveal_type(order(1, gift=True))
                reveal_type(Shop().order(1))
                order("wrong")

            footfall.configure("events.yaml", errors={ValueError: "invalid_preset"})
            footfall.event("shop.order", "success", provider="smz3")
            footfall.count("shop.order", 3)
            done: bool = bool(footfall.flush(1.0)) and footfall.shutdown(1.0)
            if footfall.flush() is footfall.Flushed.OFF:
                print(footfall.flush().name)
        """)
    )
    # The frameworks that footfall can measure are large, and no part of what the program uses.
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in HEAVY)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = True\n{skipped}")
    done = run("-m", "mypy", "--cache-dir", tmp_path, program, folder=tmp_path)
    lines = [
        line.partition("program.py:")[2].partition(" ")[2] for line in done.stdout.splitlines()
    ]
    assert lines[:3] == [
        'note: Revealed type is "str"',
        'note: Revealed type is "str"',
        'note: Revealed type is "int"',
    ]
    assert lines[3].startswith('error: Argument 1 to "order" has incompatible type "str"')
    assert len(lines) == 5, done.stdout
