"""Whether live champions still mean by a feature what is declared: a view changes under nobody's feet."""

from collections.abc import Mapping
from typing import Any

from nightshift.features.declared import Declared, digests_of, load_repository
from nightshift.ledger import Kind, Ledger
from nightshift.model.package import open_package
from nightshift.registry import ModelRegistry
from nightshift.settings import Settings
from nightshift.spec import declared_names, find_spec


def changed_under_champions(settings: Settings, registry: ModelRegistry) -> list[str]:
    """Return what is wrong with the feature repository in the eyes of the champions of all declared models.

    A view (or computation) that a champion was trained with may change if its
    ``version`` is raised: somebody then says that another meaning is meant. Empty
    if all is well, if there are no champions, and without a feature repository.

    Raises
    ------
    UnavailableError
        If the registry does not answer.
    FeatureError, SpecError
        If the repository or a declaration is wrong.
    """
    models = [name for name in declared_names(settings.specs) if find_spec(settings.specs, name).feature_service]
    if not models:
        return []
    declared = load_repository(settings.features)
    now = digests_of(declared, settings.features)
    problems = []
    for model in models:
        champion = registry.champion(model)
        if champion is not None:
            made = open_package(registry.fetch(model, champion.version)).profile.get("features") or {}
            problems += _unraised(made, declared, now, who=str(champion))
    return problems


def changed_views(settings: Settings) -> list[str]:
    """Return the same for a checkout, without asking a registry in which nothing was ever promoted."""
    ledger = Ledger(settings.ledger)
    if not any(ledger.entries(name, Kind.PROMOTION) for name in declared_names(settings.specs)):
        return []
    return changed_under_champions(settings, ModelRegistry(settings.mlflow, settings.releases, wait_seconds=2))


def _unraised(made: Mapping[str, Any], declared: Declared, now: Mapping[str, str], *, who: str) -> list[str]:
    """Return a sentence for each view of ``made`` that is another now and has no higher version."""
    parts: Mapping[str, Any] = {**declared.views, **declared.on_demand}
    problems = []
    for name, digest in made.get("views", {}).items():
        version = made.get("versions", {}).get(name, 1)  # noted since there was a second one
        if name not in parts:
            problems.append(
                f"{name}, which {who} was trained with, is declared no more; keep it until none lives on it"
            )
        elif now.get(name) != digest and parts[name].version <= version:
            problems.append(
                f"{name} has changed since {who} was trained with its version {version}; "
                f"undo that, or raise version to {version + 1} in features.yaml: what it says is another thing now"
            )
    return problems
