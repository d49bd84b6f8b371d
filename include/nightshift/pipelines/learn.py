"""The middle of a build: trained, profiled, packaged, judged."""

from typing import Any

import pandas as pd

from nightshift.errors import BrokenDataError
from nightshift.files import write_text
from nightshift.ledger import Kind as EntryKind
from nightshift.model.evaluate import Champion
from nightshift.model.evaluate import evaluate as evaluate_rows
from nightshift.model.package import open_package, write_package
from nightshift.model.train import TrainedModel
from nightshift.model.train import train as fit
from nightshift.pipelines.expect import FILE as EXPECTED
from nightshift.pipelines.expect import Expected
from nightshift.pipelines.history import champion_or_last, learned_until
from nightshift.pipelines.output import OUTPUT, label_kind, output_of
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.window import whole_windows
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.profile.contract import Contract
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.profile.review import differences, read_reviewed
from nightshift.profile.variation import Variation
from nightshift.spec import Kind
from nightshift.verdict import Status


def train(work: Work) -> Outcome:
    """Train on the oldest rows, stop by the next; write ``model/``."""
    rows, validation = _split(work, "train"), _split(work, "validation")
    model = fit(rows, validation, work.spec)
    model.write(work.run.file("model"))
    watched, seen = next(iter(model.history.items()))
    return Outcome(f"{model.best_iteration + 1} rounds, validation {watched} {seen[model.best_iteration]:.4f}")


def profile(work: Work) -> Outcome:
    """Profile the training rows, draw the contract, and hold the rows to it.

    Writes ``profile.json``, ``contract.json``, ``contract.yaml`` and ``expectations.json``.

    Raises
    ------
    BrokenDataError
        If the training rows break the contract drawn from themselves.
    """
    rows, run, spec = _split(work, "train"), work.run, work.spec
    reference = Profile.of(rows, {**spec.kinds, spec.label.column: label_kind(spec)})
    shares = [{name: part[name].isna().mean() for name in spec.features} for part in whole_windows(rows, spec)]
    contract = Contract.derive(reference, spec.features, windows=shares)
    changes = _changes(work, contract)
    quality = validate_rows(rows[list(spec.features)], contract, docs=run.file("docs"), name=f"{spec.name} training")
    run.write("expectations.json", {**quality.to_json(), "changes": changes})
    if not quality.success:
        raise BrokenDataError(
            "the training rows break their own contract: " + "; ".join(check.sentence for check in quality.checks)
        )
    run.write("profile.json", reference.to_json())
    write_text(run.file("contract.yaml"), contract.to_yaml())
    run.write("contract.json", contract.to_json())
    said = "" if changes is None else f"; {len(changes)} changes to the reviewed contract"
    return Outcome(
        f"{len(reference.columns)} columns profiled, contract drawn and kept by all {len(rows):,} rows{said}"
    )


def _changes(work: Work, contract: Contract) -> list[str] | None:
    """Return how the contract differs from the one that a person has reviewed; none if nobody has."""
    reviewed = read_reviewed(work.settings.contracts / f"{work.spec.name}.yaml")
    return None if reviewed is None else differences(reviewed, contract)


def package(work: Work) -> Outcome:
    """Put model, contract and profiles into the folder that will be served; write ``package/``.

    The profile of the output is of answers to test rows: those to rows it
    learned from would look better than life.
    """
    run, spec, test = work.run, work.spec, _split(work, "test")
    model = TrainedModel.read(run.file("model"))
    manifest = write_package(
        run.file("package"),
        model,
        spec,
        contract=run.read("contract.json"),
        profile=_reference(work, model),
        golden=test,
        earlier=pd.concat([_split(work, name) for name in ("train", "validation")]),
        lock=work.settings.lock,
        lineage_digest=run.read("lineage.json")["digest"],
    )
    formats = "all formats agree" if manifest.has_onnx else "ONNX is not faithful and left out, the others agree"
    return Outcome(f"{formats} on {manifest.golden_rows:,} golden rows")


def _reference(work: Work, model: TrainedModel) -> dict[str, Any]:
    """Return what windows will be compared with: inputs, answers, and how both vary from window to window."""
    spec, inputs = work.spec, Profile.from_json(work.run.read("profile.json"))
    rows = pd.concat([_split(work, name) for name in ("train", "validation", "test")])
    answers = pd.DataFrame({spec.time.column: rows[spec.time.column], OUTPUT: output_of(model.predict(rows), spec)})
    tested = answers[answers[spec.time.column] >= _split(work, "test")[spec.time.column].min()]
    output = Profile.of(tested, {OUTPUT: Kind.NUMERIC})
    windows = [Profile.of(part, spec.kinds, bins_of=inputs) for part in whole_windows(rows, spec)]
    answered = [Profile.of(part, output.kinds, bins_of=output) for part in whole_windows(answers, spec)]
    features = work.run.read("assembled.json").get("features")
    return {
        **({"features": features} if features else {}),
        "inputs": inputs.to_json(),
        "output": output.to_json(),
        "variation": {
            "inputs": Variation.of(inputs, windows, model.importance).to_json(),
            "output": Variation.of(output, answered, {OUTPUT: 1.0}).to_json(),
        },
    }


def evaluate(work: Work) -> Outcome:
    """Judge the candidate on rows it has not seen, and against the champion on rows neither has.

    Writes ``evaluation.json``, ``expected.json`` (what windows will be held to)
    and ``verdict.json``. Stops, with the champion kept, if a gate is not met.
    """
    spec, test, candidate = work.spec, _split(work, "test"), open_package(work.run.file("package"))
    result = evaluate_rows(
        candidate.predict, test, spec, classes=candidate.classes, champion=_champion(work), seed=spec.training.seed
    )
    verdict = result.verdict(spec)
    work.run.write("evaluation.json", result.to_json())
    earlier = pd.concat([_split(work, name) for name in ("train", "validation")])
    expected = Expected.of(test, earlier, candidate.predict, spec, candidate.classes)
    work.run.write(EXPECTED, expected.to_json())
    work.run.write("verdict.json", verdict.to_json())
    if verdict.status is Status.PASS:
        return Outcome("PASS: " + "; ".join(check.sentence for check in verdict.checks))
    as_of = BuildRequest.of(work.run).as_of
    work.ledger.append(
        spec.name, EntryKind.BUILD, start=test[spec.time.column].min() if len(test) else as_of, end=as_of,
        body={"run": work.holder, "version": None, "verdict": verdict.to_json(), "why": verdict.why}, now=work.now(),
    )  # fmt: skip
    work.ledger.end_lease(spec.name, work.holder, now=work.now())
    return Outcome(f"FAIL, kept the champion: {verdict.why}", Then.STOP)


def _champion(work: Work) -> Champion | None:
    release = champion_or_last(work)
    if release is None:
        return None
    opened = open_package(work.registry.fetch(work.spec.name, release.version))
    return Champion(release.version, opened.predict, learned_until(work, release.version), opened.classes)


def _split(work: Work, name: str) -> pd.DataFrame:
    return pd.read_parquet(work.run.file(f"splits/{name}.parquet"))
