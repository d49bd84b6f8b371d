"""Waiting for what the monitor says of a model, from any DAG."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from nightshift.errors import NightshiftError, UnavailableError
from nightshift_airflow import triggers
from nightshift_airflow.links import LedgerLink
from nightshift_airflow.triggers import DriftTrigger


class DriftSensor(BaseSensorOperator):
    """Wait for a model's verdict, then go on or skip; no worker is held meanwhile.

    It looks once and defers only if there is no answer yet. What it found is its
    XCom, and a button leads to the ledger's entry.

    Parameters
    ----------
    model
        Name of a declared model.
    waits_for
        ``drift``: go on if as many of the last windows are DRIFTED or DEGRADED as
        the model's governor wants for a retrain, skip on any other verdict, wait
        only while there is none. ``not broken``, for DAGs that use the model: go on
        unless the newest verdict is BROKEN and nobody released it; then wait.
    at
        Moment in the model's own time, as ISO text (a template); windows that ended
        before it do not count. Empty: the newest window, whenever it was.
    poke_interval, timeout, soft_fail
        As for any sensor: seconds between two questions, seconds until it gives up
        and fails, and whether giving up is a skip.
    deferrable
        Off: hold the worker and ask from there, where no triggerer runs.

    Examples
    --------
    In a DAG file, before scoring: ``DriftSensor(task_id="fit", model="bikes", waits_for="not broken") >> score``.
    """

    template_fields = ("at",)
    operator_extra_links = (LedgerLink(),)
    ui_color = "#e8f0f7"

    def __init__(
        self,
        *,
        model: str,
        waits_for: Literal["drift", "not broken"] = "drift",
        at: str | None = None,
        poke_interval: float | timedelta = 30.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        if waits_for not in ("drift", "not broken"):
            raise ValueError(f"waits_for is {waits_for!r}; give 'drift' or 'not broken'")
        self.model = model
        self.waits_for = waits_for
        self.at = at
        self.deferrable = deferrable
        self.entry: int | None = None

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Look once; defer if there is no answer yet."""
        if not self.deferrable:
            return self._settle(super().execute(context))
        found = self._look()
        if found and found["answer"] != "wait":
            return self._settle(found)
        self.log.info(found["sentence"] if found else "the ledger does not answer; the triggerer asks again")
        trigger = DriftTrigger(
            model=self.model, waits_for=self.waits_for, at=self._moment(), poll_seconds=self.poke_interval
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return None  # deferring is said by an exception

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:  # noqa: ARG002 - the signature is Airflow's
        """Go on with what the trigger found."""
        return self._settle(event)

    def poke(self, context: Any) -> bool | PokeReturnValue:  # noqa: ARG002 - the signature is Airflow's
        """Look once, holding a worker."""
        found = self._look()
        return PokeReturnValue(is_done=bool(found and found["answer"] != "wait"), xcom_value=found)

    def _look(self) -> dict[str, Any] | None:
        """Return the outlook; none if the ledger does not answer just now."""
        try:
            found = triggers.look(self.model, self.waits_for, self._moment())
        except UnavailableError as error:
            self.log.warning("%s", error)
            return None
        except NightshiftError as error:
            self._give_up(str(error), error)
        self.entry = found["entry"]
        return found

    def _settle(self, found: dict[str, Any]) -> dict[str, Any]:
        if "error" in found:
            self._give_up(found["error"])
        self.entry = found["entry"]
        self.log.info(found["sentence"])
        if found["answer"] == "skip":
            raise AirflowSkipException(found["sentence"])
        return found

    def _give_up(self, why: str, error: Exception | None = None) -> NoReturn:
        kind = AirflowSkipException if self.soft_fail else AirflowFailException
        raise kind(why) from error

    def _moment(self) -> str | None:
        """Return ``at`` with its zone; without one it is UTC, as everywhere here."""
        if not self.at:
            return None
        try:
            moment = datetime.fromisoformat(self.at)
        except ValueError:
            self._give_up(f"at is {self.at!r}; give a moment such as 2013-05-01T00:00Z")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
