"""Which features there are: whose they are, who learns from them, and until when their facts go online."""

from datetime import datetime
from typing import Any

from nightshift.features.declared import Declared, OnDemand, Service, View, load_repository
from nightshift.features.online import EPOCH, MICROSECOND, online_name, open_online
from nightshift.settings import Settings
from nightshift.spec import load_specs


def catalogue(settings: Settings) -> list[dict[str, Any]]:
    """Return what is known of each view and each computation on demand, in declared order.

    Returns
    -------
    ``view``, ``version``, ``entity`` (none for a computation), ``owner``, ``features``, ``models`` that declare one of
    them, ``until`` (up to when its facts are online; none if it never was, or is computed). Empty without a
    feature repository.

    Raises
    ------
    FeatureError, SpecError
        If the repository or a declaration is wrong.
    """
    if not (settings.features / "features.yaml").is_file():
        return []
    declared = load_repository(settings.features)
    untils, users = _untils(settings, declared), _users(settings, declared)
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
        }
        for name, part in parts.items()
    ]


def _users(settings: Settings, declared: Declared) -> dict[str, set[str]]:
    """Return the features that each model with a service learns from."""
    specs = load_specs(settings.specs)
    return {name: set(spec.features) for name, spec in specs.items() if spec.feature_service in declared.services}


def _untils(settings: Settings, declared: Declared) -> dict[str, datetime]:
    online = open_online(settings.online)
    try:
        _, known = online.read([])
    finally:
        online.close()
    found = {}
    for service in (Service(name, settings.features, declared) for name in declared.services):
        for view in service.views:
            until = known.get(online_name(service, view))
            if until is not None:
                found[view] = EPOCH + until * MICROSECOND
    return found
