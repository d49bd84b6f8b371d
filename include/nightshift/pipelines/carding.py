"""The release card from a release's evidence: first when it is registered, again when more is known of it."""

from collections.abc import Callable, Mapping
from typing import Any

from nightshift.card import CardContent
from nightshift.lineage.record import Lineage


def card_content(read: Callable[[str], Any], *, certificate: Mapping[str, Any] | None = None) -> CardContent:
    """Return what the card of a release says.

    Parameters
    ----------
    read
        Returns the JSON of a piece of evidence by its name.
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
        certificate=certificate,
    )
