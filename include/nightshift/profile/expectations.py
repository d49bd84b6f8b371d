"""The contract as a Great Expectations suite, held against a batch of rows.

Only what the contract refuses is expected; what it merely flags is drift's
business. Great Expectations is imported here and nowhere else.
"""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nightshift.profile.contract import TEXT_LENGTH_MAX, ColumnRule, Contract
from nightshift.spec import Kind
from nightshift.verdict import Check, Status

FORMAT = 1
UNNEEDED = ("fonts", "images")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


@dataclass(frozen=True)
class QualityReport:
    """Whether a batch keeps the contract. ``page`` is the Data Docs' page about it, if it was asked for."""

    rows: int
    expectations: int
    checks: tuple[Check, ...]
    page: Path | None = None

    @property
    def success(self) -> bool:
        return not self.checks

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "success": self.success,
            "rows": self.rows,
            "expectations": self.expectations,
            "checks": [check.to_json() for check in self.checks],
            "page": str(self.page) if self.page else None,
        }


def validate(rows: pd.DataFrame, contract: Contract, *, name: str, docs: Path | None = None) -> QualityReport:
    """Hold ``rows`` to the contract with Great Expectations.

    Parameters
    ----------
    rows
        The contract's columns; more or fewer are a failure.
    name
        What the batch is called in the Data Docs.
    docs
        Folder for the Data Docs, a static site; none are made without it.

    Returns
    -------
    A report with one BROKEN check for each expectation that was not met.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own deprecations; no code of ours runs in here
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        suite = gx.ExpectationSuite(name=name, expectations=list(_expectations(gx.expectations, contract, len(rows))))
        source = context.data_sources.add_pandas("rows")
        batch = source.add_dataframe_asset("batch").add_batch_definition_whole_dataframe("all")
        definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
        actions = [_docs_action(gx, context, docs)] if docs else []
        checkpoint = gx.Checkpoint(
            name=name, validation_definitions=[context.validation_definitions.add(definition)], actions=actions
        )
        result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": _as_told_apart(rows, contract)})
    outcomes = [outcome for run in result.run_results.values() for outcome in run.results]
    checks = tuple(_check(outcome, len(rows)) for outcome in outcomes if not outcome.success)
    return QualityReport(len(rows), len(outcomes), checks, _trimmed(docs) if docs else None)


def _trimmed(docs: Path) -> Path | None:
    """Leave out fonts and moving pictures, four megabytes for each night; return the page of the validation."""
    for name in UNNEEDED:
        shutil.rmtree(docs / "static" / name, ignore_errors=True)
    return next(iter(sorted(docs.glob("validations/**/*.html"))), None)


def _docs_action(gx: Any, context: Any, docs: Path) -> Any:
    site = {
        "class_name": "SiteBuilder",
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context.add_data_docs_site(site_name="docs", site_config=site)
    return gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["docs"])


def _expectations(kinds: Any, contract: Contract, rows: int) -> Iterator[Any]:
    yield kinds.ExpectTableColumnsToMatchSet(column_set=[rule.name for rule in contract.columns], exact_match=True)
    for rule in contract.columns:
        yield from _of_column(kinds, rule, rows)


def _of_column(kinds: Any, rule: ColumnRule, rows: int) -> Iterator[Any]:
    if rule.missing != "accept":
        yield kinds.ExpectColumnValuesToNotBeNull(column=rule.name)
    elif rule.missing_share is not None and rows:
        allowed = missing_allowed(rule.missing_share, rows)
        if allowed < 1:
            yield kinds.ExpectColumnValuesToNotBeNull(column=rule.name, mostly=round(1 - allowed, 6))
    if rule.kind is Kind.NUMERIC:
        yield kinds.ExpectColumnValuesToBeInTypeList(column=rule.name, type_list=["float64", "int64", "float", "int"])
        is_bounded = rule.unseen == "refuse" and rule.lower is not None
        lower, upper = (rule.lower, rule.upper) if is_bounded else (-sys.float_info.max, sys.float_info.max)
        yield kinds.ExpectColumnValuesToBeBetween(column=rule.name, min_value=lower, max_value=upper)
        return
    yield kinds.ExpectColumnValuesToBeInTypeList(column=rule.name, type_list=["str"])
    yield kinds.ExpectColumnValueLengthsToBeBetween(column=rule.name, max_value=TEXT_LENGTH_MAX)
    if rule.unseen == "refuse":
        yield kinds.ExpectColumnValuesToBeInSet(column=rule.name, value_set=list(rule.categories))


def missing_allowed(share: float, rows: int) -> float:
    """Return the share of nulls a batch of so many rows may have if ``share`` is tolerated: five errors of chance more.

    >>> round(missing_allowed(0.1, 100), 2), round(missing_allowed(0.1, 10_000), 3)
    (0.26, 0.115)
    """
    return min(1.0, share + 5 * (share * (1 - share) / rows) ** 0.5 + 1 / rows)


def _as_told_apart(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the rows so that Great Expectations sees what the contract sees: one value after another.

    It judges a column with a type of its own by that type's name alone, and
    takes a flag among numbers for a number.
    """
    return rows.assign(
        **{
            rule.name: pd.Series(
                [_told_apart(value, rule.kind) for value in rows[rule.name]], index=rows.index, dtype=object
            )
            for rule in contract.columns
            if rule.name in rows and (rule.kind is Kind.CATEGORICAL or rows[rule.name].dtype == object)
        }
    )


def _told_apart(value: Any, kind: Kind) -> Any:
    if value is None or value is pd.NA or value != value:  # NaN alone differs from itself
        return None
    return str(value) if isinstance(value, bool) and kind is Kind.NUMERIC else value


def _check(outcome: Any, rows: int) -> Check:
    kind, settings, result = outcome.expectation_config.type, outcome.expectation_config.kwargs, outcome.result or {}
    column = settings.get("column", "columns")
    share = (result.get("unexpected_percent") or 0.0) / 100
    said = f"{share:.1%} of rows" if share else str(result.get("observed_value") or "the whole column")
    sentence = f"{column}: {said} break {kind.removeprefix('expect_').replace('_', ' ')}"
    return Check(f"contract:{kind}", Status.BROKEN, column, sentence, share or None, 0.0, rows)
