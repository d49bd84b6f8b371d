"""What must hold before another version goes live by a person's word."""

from datetime import UTC, datetime, timedelta
from typing import Any

from nightshift.errors import ReleaseError, ReturnToSenderError
from nightshift.model.package import ModelPackage, open_package
from nightshift.pipelines.approval import may_go_live_by
from nightshift.pipelines.promote import TARGET, previous
from nightshift.pipelines.request import PromoteRequest
from nightshift.pipelines.work import Outcome, Work
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.manifest import Manifest
from nightshift.profile.contract import Contract

ROWS_MAX = 2000
"""So many of the day's rows, evenly spread, are held to the contract: an operator in trouble waits for this."""
REFUSED_SHARE_MAX = 0.01


def preflight(work: Work) -> Outcome:
    """Open the version as a server would, and hold the log's last day to its contract; write ``target.json``.

    Raises
    ------
    PackageError
        If the package is not what was registered, cannot be opened, or needs other packages than are here.
    ReturnToSenderError
        If its contract would turn away more than one in a hundred of the rows that callers sent last, or it was
        never approved where the declaration wants that, and who asks may not.
    """
    request = PromoteRequest.of(work.run)
    if request.resume:
        return Outcome("nothing goes live, so there is nothing to check")
    version, before = _versions(work, request)
    why_not = may_go_live_by(work.ledger.entries(work.spec.name), work.spec, version, request.user)
    if why_not:
        raise ReturnToSenderError([why_not])
    opened = open_package(work.registry.fetch(work.spec.name, version))
    rows = _last_day(work)
    refused = _refused(opened, rows)
    found = {"version": version, "before": before, "rows": len(rows), "refused": len(refused)}
    work.run.write(TARGET, {"format": 1, **found})
    words = f"{len(refused):,} of {len(rows):,} rows of the log's last day would be refused"
    if len(refused) > REFUSED_SHARE_MAX * len(rows) and not request.despite_contract:
        raise ReturnToSenderError(
            [f"{words} by version {version}; first: {refused[0]}. Choose another version, or say so in the form"]
        )
    return Outcome(f"version {version} opens, and its golden rows are answered as recorded; {words}")


def _versions(work: Work, request: PromoteRequest) -> tuple[str, str | None]:
    """Return the version to go live and the champion before; settled once, however often this is tried."""
    if work.run.file(TARGET).exists():
        settled = work.run.read(TARGET)
        return settled["version"], settled["before"]
    champion = work.registry.champion(work.spec.name)
    if request.version:
        version = work.registry.version(work.spec.name, request.version).version
    elif champion:
        version = previous(work.ledger.entries(work.spec.name), champion.version)
    else:
        raise ReleaseError(f"{work.spec.name} has no champion to go back from; name the version to go live")
    if champion and champion.version == version:
        raise ReleaseError(f"version {version} of {work.spec.name} is the champion already; nothing was changed")
    return version, champion.version if champion else None


def _last_day(work: Work) -> list[dict[str, Any]]:
    """Return answered rows of the newest day that the log has; none if nobody was asked yet."""
    folder = work.settings.predictions / work.spec.name
    log = PredictionLog(folder)
    log.compact()
    days = Manifest.read(folder).parts
    if not days:
        return []
    start = datetime.combine(max(days), datetime.min.time(), UTC)
    rows, _ = log.window(start, start + timedelta(days=1))
    answered = rows[~rows["refused"].astype(bool)]
    spread = answered.iloc[:: max(1, -(-len(answered) // ROWS_MAX))]
    plain = spread.astype(object).where(spread.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _refused(opened: ModelPackage, rows: list[dict[str, Any]]) -> list[str]:
    """Return what the version's contract says against each row that it refuses, one sentence a row."""
    contract = Contract.from_json(opened.contract)
    found = []
    for row in rows:
        told = {name: row[name] for name in opened.columns if name in row}
        problems = [problem for problem in contract.check_row(told) if problem.refused]
        found += (
            [f"{problems[0].column} is {problems[0].value!r}, allowed is {problems[0].allowed}"] if problems else []
        )
    return found
