"""A peer's answers to the same windows: run by the Python of an environment that has it, `_peers.py TOOL FOLDER`.

``FOLDER`` holds ``r.parquet``, ``s.json`` and ``windows/``, as `nightshift replay`
takes them; the answers go to ``TOOL.json`` there: for each window ``any`` (a column
is called drifted), ``whole`` (the set is, where the tool says that) and ``harm``
(its performance is expected to be worse), or the error. Each tool by its defaults.
"""

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # neither may tell its makers
LIMIT_SECONDS = 30
"""After so long a window counts as not answered."""
SURE = 0.05


def main() -> None:
    warnings.simplefilter("ignore")
    tool, folder = sys.argv[1], Path(sys.argv[2])
    schema, reference = json.loads((folder / "s.json").read_text()), pd.read_parquet(folder / "r.parquet")
    size = max(schema["window_rows"], default=1000)
    judge = {"ks": bonferroni, "evidently": evidently, "nannyml": nannyml}[tool](reference, schema, size)
    signal.signal(signal.SIGALRM, _late)
    found, begun = {}, time.perf_counter()
    for path in sorted((folder / "windows").glob("*.parquet")):
        signal.alarm(LIMIT_SECONDS)
        try:
            found[path.stem] = judge(pd.read_parquet(path))
        except BaseException as error:  # whatever a peer throws is its answer
            found[path.stem] = {"error": f"{type(error).__name__}: {error}"[:200]}
        finally:
            signal.alarm(0)
    seconds = (time.perf_counter() - begun) / max(len(found), 1)
    (folder / f"{tool}.json").write_text(json.dumps({"windows": found, "seconds": seconds}))


def _late(*_):
    raise TimeoutError(f"no answer in {LIMIT_SECONDS} s")


def bonferroni(reference, schema, _size):
    """Two-sample Kolmogorov-Smirnov and chi-square, one in twenty shared among the columns."""
    from scipy import stats

    def differs(name, now):
        before, now = reference[name].dropna(), now[name].dropna()
        if schema["features"][name] == "numeric":
            return stats.ks_2samp(before.astype(float), now.astype(float)).pvalue
        names = sorted(set(before) | set(now))
        table = np.array([[(part == one).sum() for one in names] for part in (before.to_numpy(), now.to_numpy())])
        return stats.chi2_contingency(table).pvalue if len(names) > 1 else 1.0

    def judge(rows):
        tails = {name: differs(name, rows) for name in schema["features"]}
        return {"any": bool(min(tails.values()) < SURE / len(tails))}

    return judge


def evidently(reference, schema, _size):
    """Evidently's preset for data drift."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = {
        kind: [one for one, own in schema["features"].items() if own == kind] for kind in ("numeric", "categorical")
    }
    told = DataDefinition(numerical_columns=names["numeric"], categorical_columns=names["categorical"])
    columns = list(schema["features"])
    before = Dataset.from_pandas(reference[columns], data_definition=told)

    def judge(rows):
        now = Dataset.from_pandas(rows[columns], data_definition=told)
        metrics = Report([DataDriftPreset()]).run(now, before).dict()["metrics"]
        counted = next(one["value"] for one in metrics if "DriftedColumnsCount" in str(one.get("metric_name", one)))
        return {"any": bool(counted["count"] > 0), "whole": bool(counted["share"] >= 0.5)}

    return judge


def nannyml(reference, schema, size):
    """NannyML's univariate drift, and its performance without labels: CBPE, or DLE for regressions."""
    import nannyml as nml

    columns = list(schema["features"])
    known = {"column_names": columns, "chunk_size": size}
    texts = [one for one, kind in schema["features"].items() if kind == "categorical"]
    drift = nml.UnivariateDriftCalculator(treat_as_categorical=texts, **known).fit(reference)
    if schema["task"] == "regression":
        performance = nml.DLE(
            feature_column_names=columns, y_pred="prediction", y_true="target", metrics=["mae"], chunk_size=size
        )
    else:
        chances = "probability" if schema["task"] == "binary" else {
            one: f"probability_{one}" for one in schema["classes"]
        }  # fmt: skip
        performance = nml.CBPE(
            problem_type="classification_" + schema["task"], y_true="target", y_pred="prediction",
            y_pred_proba=chances, metrics=["accuracy"], chunk_size=size,
        )  # fmt: skip
    performance = performance.fit(_coded(reference, texts))

    def judge(rows):
        moved = drift.calculate(rows).filter(period="analysis").to_df()
        worse = performance.estimate(_coded(rows, texts)).filter(period="analysis").to_df()
        return {"any": _alert(moved), "harm": _alert(worse)}

    return judge


def _coded(rows, texts):
    return rows.assign(**{name: rows[name].astype("category") for name in texts})


def _alert(found):
    return bool(found.loc[:, [one for one in found.columns if one[-1] == "alert"]].to_numpy().any())


if __name__ == "__main__":
    main()
