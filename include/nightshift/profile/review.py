"""What is different between two contracts, in sentences a reviewer reads; and the file that was reviewed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nightshift.errors import ContractError
from nightshift.profile.contract import ColumnRule, Contract
from nightshift.spec import Kind

NAMED = 8
"""So many categories are named in a sentence."""
HEAD = """\
# What a valid row of {model} is. Drawn from training rows and the declaration by `nightshift contract {model} --write`;
# review the diff and commit it. Each build says how the contract it draws differs from this one.
"""


def differences(before: Contract, after: Contract) -> list[str]:
    """Return one sentence for each thing that differs; none if they are the same.

    >>> hour = ColumnRule("hour", Kind.NUMERIC, "refuse", "refuse", 0.0, 22.0)
    >>> differences(Contract((hour,)), Contract((ColumnRule("hour", Kind.NUMERIC, "refuse", "refuse", 0.0, 23.0),)))
    ['hour: upper was 22, is 23']
    """
    old, new = ({rule.name: rule for rule in contract.columns} for contract in (before, after))
    said = [f"{name}: the column is gone" for name in old if name not in new]
    said += [f"{name}: the column is new" for name in new if name not in old]
    for name in old:
        if name in new:
            said += [f"{name}: {change}" for change in _changes(old[name], new[name])]
    shared = [[name for name in names if name in old and name in new] for names in (old, new)]
    return said + (["the order of columns is another"] if shared[0] != shared[1] else [])


def _changes(old: ColumnRule, new: ColumnRule) -> Iterator[str]:
    for key in ("kind", "missing", "unseen", "default", "lower", "upper", "missing_share", "about"):
        was, now = getattr(old, key), getattr(new, key)
        if was != now:
            yield f"{key.replace('_', ' ')} was {_shown(was)}, is {_shown(now)}"
    if old.kind is new.kind is Kind.CATEGORICAL:
        for word, names in (
            ("new", set(new.categories) - set(old.categories)),
            ("gone", set(old.categories) - set(new.categories)),
        ):
            if names:
                yield f"{len(names)} {word} categor{'y' if len(names) == 1 else 'ies'}: {_listed(sorted(names))}"


def read_reviewed(path: Path) -> Contract | None:
    """Return the contract that was reviewed; none if there is no file.

    Raises
    ------
    ContractError
        If the file is no contract; with its path.
    """
    if not path.is_file():
        return None
    try:
        return Contract.from_json(yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError, ContractError) as error:
        told = " ".join(str(error).split())
        raise ContractError(f"{path}: {told}; write it anew with `nightshift contract {path.stem} --write`") from error


def reviewed_text(contract: Contract, model: str) -> str:
    """Return the file to review: one line a fact, in a stable order, so that a diff is short."""
    return HEAD.format(model=model) + contract.to_yaml()


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) or "nothing"


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
