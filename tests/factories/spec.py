"""Declarations to test with: the smallest whole one, and ways to spoil it."""

from pathlib import Path
from typing import Any

import yaml

from nightshift.spec import EXAMPLE, ModelSpec, load_spec

HOSTILE_NAMES = (
    "", ".", "..", "...", "../bikes", "../../etc/passwd", "bikes/../bikes", "./bikes", "/bikes", "/etc/passwd",
    "bikes/", "bikes//x", "\\bikes", "..\\bikes", "C:\\bikes", "C:bikes", "\\\\host\\share", "//host/share",
    "file:///etc/passwd", "file:bikes", "http://localhost/", "%2e%2e", "%2e%2e%2fbikes", "..%2f", "%00", "bikes%00",
    "bikes\0", "bikes\0.yaml", "bikes\n", "\nbikes", "bikes\r\n", "bikes\t", " bikes", "bikes ", "bi kes", "-bikes",
    "--help", "-", "_bikes", "1bikes", "bikes#x", "bikes?x", "bikes;ls", "bikes|ls", "bikes&ls", "$(ls)", "`ls`",
    "${HOME}", "~", "~root", "{{ 7 * 7 }}", "{% x %}", "<b>bikes</b>", "'bikes'", '"bikes"', "bikes.yaml", "bikes.",
    ".bikes", "bikes*", "bik?s", "[b]ikes", "Bikes", "BIKES", "bïkes", "bıkes", "вikes", "ｂikes", "．．／", "‥/",
    "bikes\u202ekes", "\ufeffbikes", "bikes\u200b", "bikes\u2028", "a" * 64, "a" * 300, "bikes@1", "bikes:1", "bikes,x",
    "bikes=x", "bikes+x", "bikes!", "^bikes$", "null\0null", "con.yaml", "b" * 63 + "/",
)  # fmt: skip
"""What no model may be called: paths, commands, templates, look-alikes, and names too long for a file."""


def a_spec(**changes: Any) -> ModelSpec:
    """Return the declaration of ``bikes``; ``changes`` replace its top-level keys."""
    return ModelSpec.model_validate(yaml.safe_load(EXAMPLE) | changes)


def write_spec(folder: Path, text: str = EXAMPLE, *, name: str = "bikes") -> Path:
    """Put a declaration into ``folder`` as it would be found there, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def read_text(folder: Path, text: str) -> ModelSpec:
    """Return what ``load_spec`` makes of ``text``."""
    return load_spec(write_spec(folder, text))
