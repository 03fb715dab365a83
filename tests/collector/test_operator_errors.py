"""Errors that operators read are one tree, say what is wrong and what to do, and pass between processes."""

import pickle
import pkgutil
import re
from importlib import import_module

import pytest

import footfall_collector
import footfall_exporters
from footfall_collector.errors import StartError, failing_plainly
from footfall_exporters.embedded import EmbeddedPostgresError
from footfall_exporters.postgres import (
    NewerSchema,
    ReadOnly,
    SchemaBusy,
    SchemaConflict,
    Unsuitable,
)
from footfall_exporters.spool import SpoolError
from footfall_processors import OperatorError, SaltError, errors

EVERY = [
    (StartError("port 1 is in use", "set another"), "port 1 is in use; set another"),
    (EmbeddedPostgresError("it is gone", "restore it"), "it is gone; restore it"),
    (SpoolError("it cannot be opened"), "it cannot be opened"),
    (SchemaConflict("it is text", "give it another name"), "it is text; give it another name"),
    (NewerSchema("it is 9, and 8 is known", "update"), "it is 9, and 8 is known: update"),
    (Unsuitable("it is in LATIN1", "make another"), "it is in LATIN1: make another"),
    (SaltError("it is too short", "make one"), "it is too short; make one"),
    (
        ReadOnly(),
        "this Postgres is read-only (a standby, or default_transaction_read_only is on):"
        " connect to the primary, or to several hosts of which one is.",
    ),
    (
        SchemaBusy(1.0, []),
        "the schema could not be changed in 1.0 s, it is held by nobody who can be seen now:"
        " end what holds it, or wait for its end, and try again",
    ),
]
every = pytest.mark.parametrize(
    ("error", "said"), EVERY, ids=[type(error).__name__ for error, _ in EVERY]
)


def drawn(kind, depth=0):
    """The tree below a class, as depths and names."""
    for each in kind.__subclasses__():
        yield depth, each.__name__
        yield from drawn(each, depth + 1)


def test_the_tree_in_the_docstring_is_the_tree():
    import_module("footfall.receipts")  # whose error is in it as well
    for package in (footfall_collector, footfall_exporters):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in module.name:
                import_module(module.name)
    lines = re.findall(r"(?m)^    ([│ ├└]*)── (\w+)", errors.__doc__)
    assert sorted((len(indent) // 4, name) for indent, name in lines) == sorted(
        drawn(OperatorError)
    )


@every
def test_it_says_what_is_wrong_and_then_what_to_do(error, said):
    assert str(error) == said
    assert said.startswith(error.found)
    assert said.endswith(error.advice)


@every
def test_another_process_is_told_the_same(error, said):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), said)
    assert (again.found, again.advice) == (error.found, error.advice)


@every
def test_a_command_ends_with_that_line(error, said):
    import click

    with pytest.raises(click.ClickException) as caught, failing_plainly():
        raise error
    assert caught.value.message == said
