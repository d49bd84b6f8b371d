"""What an operator says of a model by a form: one action, of what, for how long, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from nightshift.errors import RequestError
from nightshift.pipelines.request import Asked, check_fields, moment_of
from nightshift.runs import REQUEST, RunFolder
from nightshift.spec import ModelSpec, stretch_of


class Action(StrEnum):
    """What an operator can say; each is an entry of the ledger."""

    ACCEPT = "accept"
    SNOOZE = "snooze"
    RELEASE = "release"
    RETRAIN = "retrain"
    RESET = "reset"


USUAL = {Action.ACCEPT: timedelta(weeks=26), Action.SNOOZE: timedelta(weeks=4)}
"""How long a word is good for from the last window on, unless its author says otherwise."""
FIELDS = {
    Action.ACCEPT: ("subject", "lasts"),
    Action.SNOOZE: ("subject", "lasts"),
    Action.RELEASE: ("day",),
    Action.RETRAIN: (),
    Action.RESET: (),
}
"""What each action is told, beside the reason; the first is needed, the others may be empty."""


@dataclass(frozen=True)
class OperateRequest:
    """Do ``action``; which of the others it needs is in :data:`FIELDS`."""

    action: Action
    reason: str
    user: str
    subject: str | None = None
    day: datetime | None = None
    lasts: timedelta | None = None

    @classmethod
    def from_asked(cls, spec: ModelSpec, asked: Asked) -> Self:
        """Return the request.

        Raises
        ------
        RequestError
            If it has no name or no reason, a field is missing, or one is filled in that the action does not read:
            who believes to release one day must not release another.
        """
        check_fields(asked.form, ("action", "subject", "day", "lasts", "reason"))
        said = {name: str(value).strip() for name, value in asked.form.items() if value is not None}
        action = _action(said.get("action", ""))
        if not said.get("reason"):
            raise RequestError(f"reason is empty; say why, it is kept in the ledger of {spec.name}")
        if not asked.user:
            raise RequestError("nobody is named who says so; start the run from a form or the API, signed in")
        _check_filled(action, said)
        return cls(
            action,
            said["reason"],
            asked.user,
            subject=said.get("subject") or None,
            day=moment_of("day", said["day"]) if said.get("day") else None,
            lasts=_lasts(action, said.get("lasts")),
        )

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Return what the run was asked to do, as its first step settled it."""
        return cls.from_json(run.read(REQUEST))

    def to_json(self) -> dict[str, Any]:
        seconds = self.lasts.total_seconds() if self.lasts else None
        day = self.day.isoformat() if self.day else None
        return {**self.__dict__, "action": str(self.action), "day": day, "lasts": seconds}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        day = datetime.fromisoformat(content["day"]) if content["day"] else None
        lasts = timedelta(seconds=content["lasts"]) if content["lasts"] else None
        return cls(**{**content, "action": Action(content["action"]), "day": day, "lasts": lasts})


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise RequestError(f"action is {text!r}; known are: {', '.join(Action)}") from None


def _check_filled(action: Action, said: dict[str, str]) -> None:
    for needed in FIELDS[action][:1]:
        if not said.get(needed):
            raise RequestError(f"{needed} is empty; {action} needs it")
    for name in ("subject", "day", "lasts"):
        if said.get(name) and name not in FIELDS[action]:
            raise RequestError(
                f"{name} is {said[name]!r}, which {action} does not read; empty it, or change the action"
            )


def _lasts(action: Action, text: str | None) -> timedelta | None:
    if not text:
        return USUAL.get(action)
    try:
        return stretch_of(text)
    except ValueError as error:
        raise RequestError(f"lasts {error}") from None
