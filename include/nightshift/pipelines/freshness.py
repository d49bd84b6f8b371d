"""Until when each view's facts are online, and which of them serving would call stale."""

from collections.abc import Mapping
from datetime import datetime

from nightshift.alerts import Level, Report
from nightshift.features.declared import Service, View, load_service
from nightshift.features.online import EPOCH, MICROSECOND, Online, online_name, open_online
from nightshift.pipelines.telling import links
from nightshift.settings import Settings
from nightshift.spec import ModelSpec


def untils_of(service: Service, online: Online) -> dict[str, datetime]:
    """Return until when the facts of each view of ``service`` go; without those that never were online."""
    _, known = online.read([])
    names = {view: known.get(online_name(service, view)) for view in service.views}
    return {view: EPOCH + until * MICROSECOND for view, until in names.items() if until is not None}


def stale_views(service: Service, untils: Mapping[str, datetime], *, now: datetime) -> list[str]:
    """Return a sentence for each view whose facts end too long before ``now``; empty if nothing ever was online.

    A view that never was, where others are, is stale too; one that declares no ``stale_after`` never is.
    """
    stale = [name for name, view in service.views.items() if untils and is_stale(view, untils.get(name), now)]
    return [
        f"facts of {name} end at {untils[name]:%Y-%m-%d %H:%M} UTC, longer ago than {service.views[name].stale_after}"
        if name in untils
        else f"{name} was never put online by its present definition"
        for name in stale
    ]


def is_stale(view: View, until: datetime | None, now: datetime) -> bool:
    """Whether the facts of ``view``, online up to ``until`` (none: never were), are too old to answer from."""
    return view.stale_after is not None and (until is None or now - until > view.stale_after)


def report_stale(settings: Settings, spec: ModelSpec, *, now: datetime) -> Report | None:
    """Return what people are to know of the freshness of a model's views; none without a feature service.

    A source whose days are over has no fresh facts to wait for.

    Raises
    ------
    FeatureError, FeaturesUnavailableError
        If the repository is wrong, or the online store does not answer.
    """
    if not spec.feature_service:
        return None
    service = load_service(settings.features, spec.feature_service)
    online = open_online(settings.online)
    try:
        stale = stale_views(service, untils_of(service, online), now=now) if spec.in_calendar(now) else []
    finally:
        online.close()
    return Report(
        model=spec.name,
        thing="stale features",
        level=Level.SERIOUS if stale else Level.FINE,
        title=f"{spec.name}: {len(stale)} of {len(service.views)} views are stale online" if stale
        else f"{spec.name}: its views are fresh online",
        key=" ".join(sentence.split(" end ")[0] for sentence in stale),
        at=now,
        facts=tuple(stale),
        to_do=(f"see whether build_{spec.name} runs as often as its views want; its task materialise renews them",),
        links=links(settings, spec.name, dag=f"build_{spec.name}"),
    )  # fmt: skip
