"""Asking a person before a release goes live."""

from collections.abc import Collection
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowException

from nightshift.spec import Approval
from nightshift_airflow.channels import address_of
from nightshift_airflow.notifiers import RunNotifier

YES, NO = "Approve", "Refuse"
FIELDS = {
    "reason": Param(
        None, type=["null", "string"], maxLength=500, title="Reason", description="Why; a no needs one. It is kept."
    )
}


class ApprovalOperator(HITLOperator, SkipMixin):
    """Show the evidence and wait for a yes; no worker is held meanwhile.

    A no, and no answer in time, leave the champion: what comes after is skipped and
    the run is green. An answer that does not count (a no without a reason, a yes of
    who started the build alone, of who is no approver) is told to people and asked
    for again. All of it is in the ledger, and an answer that counts stands: another
    try, or the task cleared, goes on with it.

    Parameters
    ----------
    model
        Whose release.
    approval
        Who may answer, and how long they have; as the model declares it.
    """

    template_fields: Collection[str] = ()  # the evidence holds names of others; none is a template

    def __init__(self, *, model: str, approval: Approval, **kwargs: Any) -> None:
        kwargs.pop("params", None)  # the DAG's form, which Airflow merges in; this task asks for its own fields only
        super().__init__(
            subject=f"Should a new version of {model} go live?",
            options=[YES, NO],
            defaults=[NO],
            params=dict(FIELDS),
            assigned_users=[{"id": name, "name": name} for name in approval.approvers] or None,
            response_timeout=approval.expires,
            execution_timeout=None,
            on_failure_callback=RunNotifier(model=model, pipeline="build", about="failed"),
            **kwargs,
        )
        self.model = model

    def execute(self, context: Any) -> Any:
        """Write the evidence down for the page, tell people, and wait; go on at once if it was answered before."""
        # imported here: pipelines bring the ledger, which no DAG file may load while it is parsed
        from nightshift.pipelines import approval, evidence
        from nightshift.pipelines.telling import waits_for_approval

        work = self._work(context)
        before = approval.answered(work)
        if before:
            return self._go_on(context, work, *before)
        self.subject, self.body = evidence.subject(work), evidence.evidence(work)
        self.response_timeout = approval.time_left(work)
        link = self.generate_link_to_ui_from_context(context=context)
        self.log.info(waits_for_approval(work, self.subject, link=link).sentence)
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Settle the answer: go on, end here, or ask again by another try."""
        from nightshift.pipelines import approval

        response = super().execute_complete(context, event)
        who = response["responded_by_user"]
        reason = str((response["params_input"] or {}).get("reason") or "")
        work = self._work(context)
        said, outcome = approval.settle(
            work, approval.Response(response["chosen_options"] == [YES], reason, who["name"] if who else None)
        )
        if said is approval.Said.VOID:
            raise AirflowException(f"{outcome.sentence}; asked again")
        return self._go_on(context, work, said, outcome)

    def _go_on(self, context: Any, work: Any, said: Any, outcome: Any) -> Any:
        from nightshift.pipelines import approval
        from nightshift.pipelines.telling import was_answered

        self.log.info(outcome.sentence)
        was_answered(work, outcome.sentence)
        if outcome.note:
            context["ti"].xcom_push(key="note", value=outcome.note)
        if said is not approval.Said.APPROVED:
            context["ti"].xcom_push(key="return_value", value=outcome.sentence)
            self.skip(ti=context["ti"], tasks=context["task"].get_flat_relatives(upstream=False))
        return outcome.sentence

    def _work(self, context: Any) -> Any:
        from nightshift.pipelines.steps import open_work

        return open_work("build", model=self.model, run_id=context["run_id"], address=address_of)
