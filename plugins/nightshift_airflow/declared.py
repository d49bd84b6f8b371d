"""Declarations as Airflow meets them: every one gives a DAG, a wrong one a DAG that says what is wrong."""

import re
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from nightshift.errors import SpecError
from nightshift.settings import Settings
from nightshift.spec import NAME, ModelSpec, load_spec


def declared_models() -> dict[str, ModelSpec | SpecError]:
    """Return each declaration by its file's name, or what is wrong with it.

    One wrong file must not take the others' nights down, so its error is a
    value here. Files whose names could not name a model are left to
    ``nightshift check``.
    """
    found: dict[str, ModelSpec | SpecError] = {}
    for path in sorted(Settings.load().specs.glob("*.yaml")):
        if not re.fullmatch(NAME, path.stem):
            continue
        try:
            found[path.stem] = load_spec(path)
        except SpecError as error:
            found[path.stem] = error
    return found


def page(spec: ModelSpec, contents: str | None) -> str:
    """Return a DAG's page in Markdown: what the model is for, and whom to ask."""
    return (
        f"{contents or ''}\n\n**{spec.name}** — {spec.purpose}\n\n"
        f"- Owner: {spec.owner.team}, {spec.owner.contact}\n"
        f"- Declared in `include/specs/{spec.name}.yaml`\n"
        f"- Predicts `{spec.label.column}` ({spec.task}) from {len(spec.features)} features, "
        f"known {spec.time.known_before} before `{spec.time.column}`\n"
    )


def refuse(pipeline: str, name: str, error: SpecError) -> DAG:
    """Return the DAG that stands where a declaration cannot be read; its only task fails with the reason."""
    with DAG(
        dag_id=f"{pipeline}_{name}",
        doc_md=f"**The declaration cannot be read.**\n\n```\n{error}\n```",
        schedule=None,
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        tags=["nightshift", "wrong declaration"],
    ) as dag:
        _Refusal(task_id="read_declaration", reason=str(error))
    return dag


class _Refusal(BaseOperator):
    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: object) -> None:  # noqa: ARG002 - the signature is Airflow's
        raise AirflowFailException(self.reason)
