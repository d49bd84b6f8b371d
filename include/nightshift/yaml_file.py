"""A YAML file as people mean it: the words of YAML 1.2, nothing hidden, and the line of everything."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nightshift.errors import SpecError

BYTES_MAX = 256 * 1024
TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class YamlFile:
    """What stands in a file, as plain values; ``name`` is the file's, for messages."""

    name: str
    content: dict[str, Any]
    root: yaml.Node

    def line_of(self, place: Sequence[str | int]) -> int:
        """Return the line (from 1) of the deepest part of ``place`` that stands in the file.

        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "bikes.yaml"
        >>> _ = path.write_text("name: bikes" + chr(10) + "split: {train: 60d}")
        >>> read_yaml(path).line_of(["split", "test"])
        2
        """
        node, line = self.root, self.root.start_mark.line
        for part in place:
            found = _inside(node, part)
            if found is None:
                break
            line, node = found
        return line + 1


def read_yaml(path: Path) -> YamlFile:
    """Return what stands in ``path``: text, numbers, true and false, lists, and mappings with text as keys.

    Aliases (bombs), tags (code), a key that stands twice and other surprises
    are refused. ``yes``, ``on`` and ``22:30`` are text, ``1e-3`` is a number,
    ``010`` is ten.

    Raises
    ------
    SpecError
        If it cannot be read, with the line where that is known.
    """
    text = _text_of(path)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        content = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path.name}:{line}: {error.problem}") from None
    except RecursionError:
        raise SpecError(f"{path.name}: nests deeper than any declaration; take brackets away") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{path.name}: is not YAML: {error}") from None
    if root is None or not isinstance(content, dict):
        raise SpecError(f"{path.name}:1: expected keys and values (name, purpose, …), found {type(content).__name__}")
    return YamlFile(path.name, content, root)


def _text_of(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise SpecError(f"{path.name}: is no file; expected UTF-8 text")
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise SpecError(f"{path.name}: has more than {BYTES_MAX:,} bytes, the most allowed here; shorten it")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: cannot be read: {error}; expected UTF-8 text") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML with fewer things to know: no aliases, no tags, keys are text and stand once."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way; filled below

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, "an alias (*) is not allowed; write it out")
        if getattr(event, "tag", None) is not None:
            raise _at(event, f"a tag ({event.tag}) is not allowed; leave it out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != TEXT:
                raise _at(key, 'a key must be text; if it is meant as such, put quotes (") around it')
            if key.value in seen:
                raise _at(key, f"{key.value!r} stands here twice; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: Any) -> int:
        # PyYAML would read 010 as eight
        based = node.value.startswith(("0o", "0x"))
        return int(node.value, 0) if based else int(node.value)

    def construct_number(self, node: Any) -> float:
        return float(node.value)


def _at(place: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


# the core schema of YAML 1.2.2 (10.3.2), but for infinities and NaN, which nothing here may be
for _word, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_word}", re.compile(rf"(?:{_pattern})\Z"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _inside(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """Return the line (from 0) of ``part`` of a node, and what stands there."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None
