"""The part of the command ``nightshift`` that looks at rows: any file's, any query's."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightshift.errors import BinsDifferError, ProfileError
from nightshift.files import write_json, write_text

if TYPE_CHECKING:
    from nightshift.profile.profile import Profile

app = typer.Typer()
WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
"""A pipe has no width of its own; the usual 80 columns would break the table."""
OUT = Console(width=WIDTH, highlight=False)
HEAD = ("column", "kind", "missing", "distinct", "lowest", "median", "mean", "highest", "most often")

Files = Annotated[
    list[Path] | None, typer.Argument(help="Parquet or CSV files, profiled as one table; or stored profiles (.json).")
]
Query = Annotated[str | None, typer.Option(help="DuckDB SQL whose answer is profiled: \"SELECT * FROM 'a.parquet'\".")]
Like = Annotated[Path | None, typer.Option(help="Stored profile whose bins to count on: to merge or compare later.")]
Without = Annotated[list[str] | None, typer.Option(help="Column to leave out; may be given again.")]
Out = Annotated[Path | None, typer.Option(help="JSON file to write.")]
Html = Annotated[Path | None, typer.Option(help="Page to write: one file, nothing loaded from elsewhere.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]


@app.command()
def profile(
    files: Files = None,
    query: Query = None,
    like: Like = None,
    without: Without = None,
    out: Out = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Profile Parquet and CSV files or a query, or merge stored profiles: JSON, a page, or a table to read."""
    found = _profile(files or [], query, like=like, without=without or [])
    named = ", ".join(str(path) for path in files) if files else "a query"
    if out:
        write_json(out, found.to_json())
    if html:
        from nightshift.card.profile_page import render_profile

        write_text(html, render_profile(found, named))
    if as_json:
        sys.stdout.write(json.dumps(found.to_json(), indent=2, sort_keys=True, allow_nan=False) + "\n")
    elif not (out or html):
        _show(found, named)
    for path in (out, html):
        if path and not as_json:
            OUT.print(f"wrote {path}", markup=False, soft_wrap=True)


def _profile(files: Sequence[Path], query: str | None, *, like: Path | None, without: Sequence[str]) -> "Profile":
    from nightshift.data.scan import open_files, open_query
    from nightshift.profile.streamed import profile_rows

    if bool(files) == bool(query):
        raise typer.BadParameter("give files, or --query with SQL, not both")
    if files and all(path.suffix == ".json" for path in files):
        return _merged(files)
    with open_query(query, without=without) if query else open_files(files, without=without) as scan:
        return profile_rows(scan.schema, scan.rows, scan.batches, like=_stored(like) if like else None)


def _merged(files: Sequence[Path]) -> "Profile":
    merged = _stored(files[0])
    for path in files[1:]:
        try:
            merged = merged.merge(_stored(path))
        except BinsDifferError as error:
            raise BinsDifferError(f"{path} and {files[0]}: {error} (--like {files[0]})") from error
    return merged


def _stored(path: Path) -> "Profile":
    from nightshift.profile.profile import Profile

    try:
        content: Any = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ProfileError(f"{path} cannot be read: {error}; expected a profile, as --out writes it") from error
    try:
        return Profile.from_json(content)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error


def _show(found: "Profile", named: str) -> None:
    from nightshift.profile.told import tell

    table = Table(*HEAD)
    for column in table.columns[2:8]:
        column.justify = "right"
    for told in tell(found):
        table.add_row(*(Text(fact) for fact in told.__dict__.values()))  # a name is no markup
    OUT.print(f"{found.rows:,} rows in {len(found.columns)} columns: {named}", markup=False, soft_wrap=True)
    OUT.print(table)
