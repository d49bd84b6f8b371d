"""From the bytes of a request to rows of named values, not yet checked."""

import json
import re
from collections import Counter
from typing import Any

import msgspec

from nightshift.serving.answers import RefusalError

ROWS_MAX = 10_000
DIGITS_MAX = 18
"""Longer whole numbers are read as floating point: they fit no integer that other programs have."""
COLUMNS_MAX = 4_096
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Doubled(dict[str, Any]):
    """A JSON object that has a name more than once; the last value of each, and which names."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a request's JSON; a row that names a column twice is a :class:`Doubled`.

    Raises
    ------
    RefusalError
        400 if it is no JSON, 413 if it has too many rows, 422 if it is no request.
    """
    content = _decode(body)
    if not isinstance(content, dict) or content.keys() not in ({"row"}, {"rows"}) or isinstance(content, Doubled):
        forms = '{"row": {…}}, {"rows": [{…}, …]} or {"entities": [{…}, …]}'
        raise RefusalError(422, f"the body must be {forms} and nothing else")
    rows = [content["row"]] if "row" in content else content["rows"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RefusalError(422, "a row must be an object of named fields, and rows a list of them")
    check_count(len(rows))
    widest = max(map(len, rows))
    if widest > COLUMNS_MAX:
        raise RefusalError(422, f"a row names {widest:,} columns, more than any model has; at most {COLUMNS_MAX:,}")
    return rows


def check_count(rows: int) -> None:
    """Refuse a request without rows (422) or with too many (413)."""
    if not rows:
        raise RefusalError(422, "rows is empty; send at least one row")
    if rows > ROWS_MAX:
        raise RefusalError(413, f"{rows:,} rows in one request, at most {ROWS_MAX:,} are taken; send them in parts")


def _decode(body: bytes) -> Any:
    try:
        if _SURROGATE.search(body):
            msgspec.json.decode(body)  # refuses lone surrogates, which are no text
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_whole)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise RefusalError(400, f"the body is no JSON: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Doubled(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; send null for what is not known")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS_MAX else float(digits)
