"""Features brought online: what the source knows by a moment, under the keys that serving asks by."""

from datetime import datetime

from nightshift.data.source import load_source
from nightshift.data.tables import view_rows
from nightshift.features.materialise import materialise as put_online
from nightshift.features.online import EPOCH, MICROSECOND, online_name, open_online
from nightshift.pipelines.recipe import service_of
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.settings import Settings
from nightshift.spec import ModelSpec


def materialise(work: Work) -> Outcome:
    """Bring the features online as they are known at the build's moment; stops nothing if there are none to bring."""
    put = bring_online(work.spec, work.settings, until=BuildRequest.of(work.run).as_of)
    if not put:
        return Outcome("no feature service: callers send whole rows", Then.SKIP)
    return Outcome(f"{sum(put.values()):,} rows of {len(put)} views put online")


def bring_online(
    spec: ModelSpec, settings: Settings, *, until: datetime, since: datetime | None = None
) -> dict[str, int]:
    """Put what became known up to ``until`` into the online store and return how many rows of each view were put.

    Empty if the model has no feature service. Goes on where the last time ended,
    or from ``since``: a moment of the past is brought back by beginning there.
    """
    service = service_of(spec, settings)
    if service is None:
        return {}
    online = open_online(settings.online)
    try:
        _, untils = online.read([])
        known = [untils[name] for name in (online_name(service, view) for view in service.views) if name in untils]
        whole = len(known) == len(service.views)
        after = since or (EPOCH + min(known) * MICROSECOND if whole else None)
        if after is not None and since is None and after >= until:
            return dict.fromkeys(service.views, 0)
        source = load_source(spec, settings.sources, settings.project)
        start = after or until
        tables = view_rows(source, spec, service.queries, start=start, end=until)
        kept = after if whole and since is None else None
        return put_online(service, online, tables, first=start - spec.time.lookback, after=kept, until=until)
    finally:
        online.close()
