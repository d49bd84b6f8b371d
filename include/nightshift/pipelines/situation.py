"""What the governor is told: read from the ledger, so that it is the same after any restart."""

from nightshift.governor import Situation
from nightshift.ledger import Kind
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.standing import earlier_verdicts, of_kind, reset, retrains, wish
from nightshift.pipelines.work import Work
from nightshift.verdict import Status


def situation(work: Work, status: Status) -> Situation:
    """Return the situation in which the window of this run is decided."""
    request, name, now = MonitorRequest.of(work.run), work.spec.name, work.now()
    entries = work.ledger.entries(name)
    lease = work.ledger.lease(name)
    held = lease if lease and lease.until > now and lease.holder != work.holder else None
    promotions, wished = of_kind(entries, Kind.PROMOTION), wish(entries)
    windows, version = work.ledger.windows(name), work.run.read("window.json")["version"]
    measured = work.run.read("performance.json") if work.run.file("performance.json").exists() else {}
    return Situation(
        now=request.end,
        status=status,
        earlier=earlier_verdicts(windows, version, request.start, newest=work.spec.governor.nights),
        retrains=retrains(entries, waiting=held is not None or work.spec.promotion != "automatic"),
        champion_as_of=promotions[-1].end if promotions else None,
        building=held.holder if held else None,
        new_labels=measured.get("new_labels", 0),
        wish=f"{wished.body['by']} ({wished.body['reason']})" if wished else None,
        reset=reset(entries),
    )
