"""How long each of a package's two runtimes takes for so many rows: from where on XGBoost is asked.

    .venv/bin/python benchmarks/runtimes.py [--rows 1,8,16,32,64,100,200,1000] [--rounds 60]

flight_delay's declaration, trained on real flights of January and February;
real rows, one thread. The runtimes take turns, so that what else the machine
does falls on both.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from serving import learn, pack

from nightshift.model.encoding import Matrix
from nightshift.model.manifest import NATIVE, ONNX
from nightshift.model.runtime import NativeRuntime, OnnxRuntime, Outputs

CALLS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rows", type=lambda text: [int(one) for one in text.split(",")], default="1,8,16,32,64,100,200,1000"
    )
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    spec, rows, model = learn()
    with TemporaryDirectory() as folder:
        package = pack(Path(folder), spec, rows, model)
        runtimes: dict[str, Callable[[Matrix], Outputs]] = {
            "ONNX Runtime": OnnxRuntime((package / ONNX).read_bytes(), model.task),
            "XGBoost": NativeRuntime((package / NATIVE).read_bytes()),
        }
    matrix = model.encoding.matrix(rows)
    print(f"{'rows':>6}" + "".join(f"{name:>16}" for name in runtimes) + "   µs a call, median; and of XGBoost's")
    for count in asked.rows:
        onnx, xgboost = (median(times) for times in in_turns(runtimes, matrix, count, asked.rounds).values())
        print(f"{count:6}{onnx:16,.0f}{xgboost:16,.0f}   {onnx / xgboost:.0%}")


def in_turns(
    runtimes: dict[str, Callable[[Matrix], Outputs]], matrix: Matrix, count: int, rounds: int
) -> dict[str, list[float]]:
    """Return what a call took in each round, in microseconds, by runtime."""
    found: dict[str, list[float]] = {name: [] for name in runtimes}
    for turn in range(rounds):
        asked = [matrix[(turn * CALLS + call) * count % (len(matrix) - count) :][:count] for call in range(CALLS)]
        for name, runtime in runtimes.items():
            began = time.perf_counter()
            for one in asked:
                runtime(one)
            found[name].append((time.perf_counter() - began) / CALLS * 1e6)
    return found


if __name__ == "__main__":
    main()
