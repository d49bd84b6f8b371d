"""Fields of the forms that people fill in before a run."""

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


def version(description: str) -> Param:
    """Return a field for the number of a registered version; empty is allowed."""
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^\s*(v?[1-9]\d{0,17})?\s*$",
        title="Version",
        description=description,
    )
