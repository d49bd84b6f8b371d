"""Fields of the forms that people fill in before a run."""

from collections.abc import Mapping, Sequence

from airflow.sdk import Param

MOMENT = (
    r"^\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)


def moment(title: str, description: str) -> Param:
    """Return a field for a moment in time; empty is allowed.

    The format shows a calendar, but Airflow checks it only with a package that
    it does not bring: the pattern refuses what is no moment, before there is a run.
    """
    return Param(
        None, type=["null", "string"], format="date-time", pattern=MOMENT, title=title, description=description
    )


def switch(title: str, description: str, *, on: bool = False) -> Param:
    """Return a field that is on or off."""
    return Param(on, type="boolean", title=title, description=description)


def choice(title: str, description: str, choices: Mapping[str, str]) -> Param:
    """Return a field for one of ``choices``, by what is meant and what people read; one must be chosen."""
    return Param(type="string", enum=list(choices), values_display=dict(choices), title=title, description=description)


def word(title: str, description: str, *, examples: Sequence[str] = ()) -> Param:
    """Return a field for a short text, with proposals; empty is allowed."""
    return Param(
        None, type=["null", "string"], maxLength=200, examples=list(examples), title=title, description=description
    )


def stretch(title: str, description: str) -> Param:
    """Return a field for a length of time such as ``28d``; empty is allowed."""
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^\s*([1-9]\d{0,4} *[mhdw])?\s*$",
        title=title,
        description=description,
    )


def reason(description: str) -> Param:
    """Return a field for why; it must be filled in."""
    return Param(type="string", minLength=1, maxLength=500, pattern=r"\S", title="Reason", description=description)


def version(description: str) -> Param:
    """Return a field for the number of a registered version; empty is allowed."""
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^\s*(v?[1-9]\d{0,17})?\s*$",
        title="Version",
        description=description,
    )
