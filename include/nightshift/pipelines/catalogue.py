"""Which features there are: whose they are, who learns from them, and until when their facts go online."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from nightshift.errors import NightshiftError
from nightshift.features.declared import OnDemand, Service, View, load_repository
from nightshift.features.online import open_online
from nightshift.files import read_json
from nightshift.pipelines.freshness import is_stale, untils_of
from nightshift.profile.profile import Profile
from nightshift.settings import Settings
from nightshift.spec import load_specs


def catalogue(settings: Settings, *, now: datetime) -> list[dict[str, Any]]:
    """Return what is known of each view and each computation on demand, in declared order.

    Returns
    -------
    ``view``, ``version``, ``entity`` (none for a computation), ``owner``, ``features``, ``models`` that declare one of
    them, ``until`` (up to when its facts are online; none if it never was, or is computed), ``stale`` (whether serving
    would say so ``now``; never, once the source's days are over), and ``statistics`` (by feature: ``nulls``, ``mean``,
    ``lowest``, ``highest`` of ``rows``, and the ``run`` that profiled it last, a build's training rows or a window).
    Empty without a feature repository.

    Raises
    ------
    FeatureError, SpecError
        If the repository or a declaration is wrong.
    """
    if not (settings.features / "features.yaml").is_file():
        return []
    declared = load_repository(settings.features)
    services = [Service(name, settings.features, declared) for name in declared.services]
    untils, specs = _untils(settings, services), load_specs(settings.specs)
    users = {name: set(spec.features) for name, spec in specs.items() if spec.feature_service in declared.services}
    alive = {feature for name, known in users.items() if specs[name].in_calendar(now) for feature in known}
    statistics = _statistics(settings, users)
    parts: dict[str, View | OnDemand] = {**declared.views, **declared.on_demand}
    return [
        {
            "view": name,
            "version": part.version,
            "entity": part.entity if isinstance(part, View) else None,
            "owner": (part.owner or declared.owner).contact,
            "features": list(part.features),
            "models": sorted(model for model, known in users.items() if known & set(part.features)),
            "until": untils.get(name),
            "stale": bool(untils and alive & set(part.features))
            and isinstance(part, View)
            and is_stale(part, untils.get(name), now),
            "statistics": {feature: statistics[feature] for feature in part.features if feature in statistics},
        }
        for name, part in parts.items()
    ]


def _untils(settings: Settings, services: list[Service]) -> dict[str, datetime]:
    online = open_online(settings.online)
    try:
        return {view: until for service in services for view, until in untils_of(service, online).items()}
    finally:
        online.close()


def _statistics(settings: Settings, users: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the share of nulls, mean and range of each feature in the newest run that profiled it."""
    files = [file for model in users for file in (settings.runs / model).glob("*/*/profile.json")]
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(files, key=lambda file: (file.stat().st_mtime, str(file))):
        content = read_json(file)
        try:
            profile = Profile.from_json(content.get("inputs", content))  # a window's lies beside that of its answers
        except NightshiftError:
            continue  # of an older format: what came before, or comes after, is shown
        run = "/".join(file.parent.parts[-3:])
        for name, column in profile.columns.items():
            found[name] = {
                "nulls": column.missing_share,
                "mean": column.mean,
                "lowest": column.lowest,
                "highest": column.highest,
                "rows": column.rows,
                "run": run,
            }
    return found
