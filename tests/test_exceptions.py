"""No exception outlives its handler: through its traceback it holds all that its frames hold, a request too.

What is kept of an exception makes a cycle as soon as a frame of its traceback refers to it, and the collector
of cycles seldom runs: requests of a few kB left gigabytes behind. tests/collector/test_memory.py measures it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("collector", "exporters", "instrumentation", "processors")
MODULES = [p for room in ROOMS for p in sorted((REPOSITORY / room).rglob("*.py"))]
CONTAINERS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.BoolOp, ast.IfExp, ast.Starred, ast.Await)
KEEPING = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.Return, ast.Yield)
METHODS = {
    "set_exception",
    "append",
    "appendleft",
    "add",
    "put",
    "put_nowait",
    "insert",
    "setdefault",
}
ALLOWED = {
    (
        "process.py",
        "error",
    ): "for the thread that waits for Postgres to start; there is no request yet",
    ("migrate.py", "refused"): "at a start; there is no request yet",
    ("restore.py", "refused"): "in a command, which takes no request",
    ("steps.py", "error"): "for the generator that it is thrown into; forgotten when that is done",
}


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def kept(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each exception that is kept by its handler."""
    above = parents(tree)
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        for node in ast.walk(handler):
            if isinstance(node, ast.Name) and node.id == handler.name and _is_kept(node, above):
                yield node.lineno, node.id


def _is_kept(name: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    node = above[name]
    while isinstance(node, CONTAINERS):
        node = above[node]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in METHODS
    while not isinstance(node, (*KEEPING, ast.Lambda, ast.FunctionDef)):
        if isinstance(
            node, ast.stmt | ast.ExceptHandler | ast.Call | ast.Attribute | ast.FormattedValue
        ):
            return False
        node = above[node]
    return not isinstance(name, ast.Name) or isinstance(name.ctx, ast.Load)


def raised_again(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each variable that is raised and not forgotten: its frame, and so it, holds itself."""
    above = parents(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or not isinstance(
            node.exc, ast.Name | ast.Subscript | ast.Attribute
        ):
            continue
        name = ast.unparse(node.exc)
        if not name.rpartition(".")[2][0].isupper() and not _is_forgotten(node, name, above):
            yield node.lineno, name


def _is_forgotten(node: ast.AST, name: str, above: dict[ast.AST, ast.AST]) -> bool:
    while node in above:
        node = above[node]
        if isinstance(node, ast.ExceptHandler) and node.name == name:
            return True
        if isinstance(node, ast.Try):
            deleted = [
                d for each in node.finalbody if isinstance(each, ast.Delete) for d in each.targets
            ]
            if any(isinstance(each, ast.Name) and each.id == name for each in deleted):
                return True
    return False


@pytest.mark.parametrize("find", [kept, raised_again])
def test_no_exception_outlives_its_handler(find) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name}"
        for path in MODULES
        for line, name in find(ast.parse(path.read_text()))
        if (path.name, name) not in ALLOWED
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "found = error",
        "self.found = error",
        "found = found or error",
        "found = [1, (error, 2)]",
        "if found := error: pass",
        "return error",
        "yield error",
        "later.set_exception(error)",
        "errors.append(error)",
        "queue.put_nowait((1, error))",
        "later = lambda: error",
        "def later():\n            return error",
    ],
)
def test_what_keeps_an_exception_is_found(code: str) -> None:
    tree = ast.parse(f"def f():\n    try: pass\n    except E as error:\n        {code}\n")
    assert [name for _, name in kept(tree)] == ["error"]


@pytest.mark.parametrize(
    "code",
    [
        "found = str(error)",
        "found = error.answer",
        "found = f'{error}'",
        "log.error('%s', error)",
        "raise E(error.code) from error",
        "return type(error)",
        "tell(error)",
        "raise",
    ],
)
def test_what_reads_an_exception_is_not(code: str) -> None:
    tree = ast.parse(f"def f():\n    try: pass\n    except E as error:\n        {code}\n")
    assert list(kept(tree)) == list(raised_again(tree)) == []


def test_a_variable_is_raised_only_where_it_is_forgotten() -> None:
    forgets = "try:\n    raise worst\nfinally:\n    del worst\n"
    assert list(raised_again(ast.parse(forgets))) == []
    assert list(raised_again(ast.parse("raise worst"))) == [(1, "worst")]
    assert list(raised_again(ast.parse("raise errors[0]"))) == [(1, "errors[0]")]
    assert list(raised_again(ast.parse("raise self.refusal"))) == [(1, "self.refusal")]
    assert list(raised_again(ast.parse("raise LookupError"))) == []
    assert list(raised_again(ast.parse("raise click.Abort from None"))) == []
