"""How the models are: what lives, what was judged last, what was decided."""

from dataclasses import dataclass
from typing import Any

from nightshift.errors import RegistryUnavailableError
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines.standing import blocks, pause_words
from nightshift.predictions.pinned import Pinned, pinned_in
from nightshift.registry import ModelRegistry
from nightshift.settings import Settings
from nightshift.spec import declared_names


@dataclass(frozen=True)
class Overview:
    """One model at a glance.

    ``champion`` comes from the registry, or from the ledger if it is away; then
    ``versions`` is none, for nobody knows how many there are.
    ``blocked`` counts the windows whose days wait for a person; ``paused`` says
    since when and by whom builds promote nothing, none if they do. ``pinned`` is
    what answers in the champion's stead, by whom and why; none if the champion does.
    """

    name: str
    champion: str | None
    versions: int | None
    windows: int
    blocked: int
    last_verdict: str | None
    last_decision: str | None
    paused: str | None
    pinned: Pinned | None

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "pinned": self.pinned.to_json() if self.pinned else None}


def overviews(settings: Settings) -> list[Overview]:
    """Return one overview for each declared model, by name, also if its declaration cannot be read just now."""
    ledger, registry = Ledger(settings.ledger), ModelRegistry(settings.mlflow, settings.releases, wait_seconds=2)
    return [_overview(name, ledger, registry, settings) for name in declared_names(settings.specs)]


def _overview(name: str, ledger: Ledger, registry: ModelRegistry, settings: Settings) -> Overview:
    windows, pinned = ledger.windows(name), pinned_in(settings.predictions / name)
    promotions = ledger.entries(name, Kind.PROMOTION)
    told = promotions[-1].body["version"] if promotions else None
    champion, versions = _from_registry(name, registry) or (told, None)
    last = windows[-1].body if windows else {}
    return Overview(
        name=name,
        champion=champion,
        versions=versions,
        windows=len(windows),
        blocked=len(blocks(ledger.entries(name))),
        last_verdict=last["verdict"]["status"] if last else None,
        last_decision=last["decision"]["sentence"] if last else None,
        paused=pause_words(ledger.entries(name)),
        pinned=pinned,
    )


def _from_registry(name: str, registry: ModelRegistry) -> tuple[str | None, int] | None:
    try:
        champion = registry.champion(name)
        return (champion.version if champion else None, len(registry.versions(name)))
    except RegistryUnavailableError:
        return None
