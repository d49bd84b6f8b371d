"""The release card from a release's evidence: first when it is registered, again when more is known of it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nightshift.card import CardContent, write_card
from nightshift.errors import ReleaseError
from nightshift.files import read_json
from nightshift.ledger import Entry, Kind
from nightshift.lineage.record import Lineage
from nightshift.pipelines.approval import Said
from nightshift.pipelines.standing import of_kind
from nightshift.pipelines.work import Work

LOG = logging.getLogger(__name__)
CERTIFICATE = "certificate.json"


def card_content(
    read: Callable[[str], Any],
    *,
    decisions: Sequence[Mapping[str, Any]] = (),
    certificate: Mapping[str, Any] | None = None,
) -> CardContent:
    """Return what the card of a release says.

    Parameters
    ----------
    read
        Returns the JSON of a piece of evidence by its name.
    decisions
        As :func:`decisions_on` tells them; empty before anybody has decided.
    certificate
        As :meth:`~nightshift.certificate.Certificate.to_json` tells it, if there is one.
    """
    lineage = Lineage.from_json(read("lineage.json"))
    return CardContent(
        spec=read("spec.json"),
        lineage={**lineage.to_json(), "problems": lineage.problems()},
        splits=read("split.json"),
        training=read("training.json"),
        evaluation=read("evaluation.json"),
        verdict=read("verdict.json"),
        request=read("request.json"),
        profile=read("profile.json"),
        quality=read("expectations.json"),
        checklist=read("checklist.json"),
        decisions=decisions,
        certificate=certificate,
    )


def show_on_card(work: Work, version: str) -> None:
    """Write a release's card anew with what came after it was registered: who decided on it, and its certificate.

    A release older than such cards keeps its own.
    """
    registry, model = work.registry, work.spec.name

    def read(name: str) -> Any:
        return read_json(registry.evidence(model, version, name))

    try:
        certificate = read(CERTIFICATE) if CERTIFICATE in registry.version(model, version).evidence else None
        decisions = decisions_on(version, work.ledger.entries(model))
        content = card_content(read, decisions=decisions, certificate=certificate)
    except ReleaseError as error:
        LOG.warning("the card of %s version %s is left as it was: %s", model, version, error)
        return
    write_card(work.run.path, content)
    for name in ("card.md", "card.html"):
        registry.attach(model, version, name, work.run.file(name))


def decisions_on(version: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return what people decided on a version, oldest first: each answer that counts, each promotion by hand.

    Empty if nobody has decided. A promotion by hand is told from its pause, which is written before it answers.
    """
    about = [one for one in of_kind(entries, Kind.APPROVAL, Kind.PAUSE) if one.body["version"] == version]
    return [
        {
            "answer": "made champion by hand" if one.kind is Kind.PAUSE else one.body["answer"],
            "by": one.body["user"] if one.kind is Kind.PAUSE else one.body["by"],
            "at": one.at.isoformat(),
            "reason": one.body["reason"],
        }
        for one in about
        if one.body.get("answer") != Said.VOID
    ]
