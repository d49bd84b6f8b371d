"""What docstrings say runs, and everything public has one."""

import ast
import doctest
import importlib
import io
from pathlib import Path

import pytest

import nightshift

ROOT = Path(str(nightshift.__file__)).parent
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name of a file below the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def nameless(path: Path) -> list[str]:
    """Return what is public at the top of a file and has no docstring, the file itself first."""
    tree = ast.parse(path.read_text())
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    return [path.name] * (ast.get_docstring(tree) is None) + [
        node.name for node in public if ast.get_docstring(node) is None
    ]


@pytest.mark.parametrize("module", [module_of(path) for path in FILES])
def test_the_examples_of_a_module_are_true(module: str) -> None:
    said = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)

    for example in doctest.DocTestFinder().find(importlib.import_module(module)):
        runner.run(example, out=said.write)

    assert runner.failures == 0, said.getvalue()


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_everything_public_says_what_it_is_for(path: Path) -> None:
    assert nameless(path) == []


def test_an_example_that_is_wrong_would_be_found() -> None:
    examples = [
        len(test.examples)
        for path in FILES
        for test in doctest.DocTestFinder().find(importlib.import_module(module_of(path)))
    ]

    assert sum(examples) > 20


def test_a_missing_docstring_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text('class Public: ...\ndef _private(): ...\ndef told():\n    """Told."""\nasync def untold(): ...\n')

    assert nameless(path) == ["room.py", "Public", "untold"]
