"""What serving counts, as Prometheus reads it. Counting costs two dictionary look-ups a request."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the latency buckets, seconds."""


class Metrics:
    """Counters of one process.

    Parameters
    ----------
    state
        Called when read: gauges as (name, help, {model: value}).
    """

    def __init__(self, state: Callable[[], Iterable[tuple[str, str, dict[str, float]]]] = lambda: ()) -> None:
        self._state = state
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._shadows: dict[tuple[str, str], int] = defaultdict(int)
        self._rows: dict[tuple[str, str], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)

    def observe(self, model: str, status: int, seconds: float) -> None:
        """Count one request and how long it took."""
        self._requests[model, status] += 1
        self._buckets[model][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[model] += seconds

    def count_rows(self, model: str, version: str, rows: int) -> None:
        """Count answered rows."""
        self._rows[model, version] += rows

    def count_shadow(self, model: str, outcome: str) -> None:
        """Count one request that a challenger was to answer too."""
        self._shadows[model, outcome] += 1

    def collect(self) -> Iterable[Metric]:
        """Yield everything as Prometheus families."""
        requests = CounterMetricFamily("nightshift_requests", "Prediction requests.", labels=["model", "status"])
        for (model, status), count in list(self._requests.items()):
            requests.add_metric([model, str(status)], count)
        rows = CounterMetricFamily("nightshift_rows", "Rows answered.", labels=["model", "version"])
        for (model, version), count in list(self._rows.items()):
            rows.add_metric([model, version], count)
        seconds = HistogramMetricFamily("nightshift_request_seconds", "Time to an answer.", labels=["model"])
        for model, counts in list(self._buckets.items()):
            seconds.add_metric([model], _cumulative(counts), self._seconds[model])
        shadows = CounterMetricFamily("nightshift_shadow", "Requests for the challenger.", labels=["model", "outcome"])
        for (model, outcome), count in list(self._shadows.items()):
            shadows.add_metric([model, outcome], count)
        yield from (requests, rows, seconds, shadows)
        for name, text, values in self._state():
            gauge = GaugeMetricFamily(name, text, labels=["model"])
            for model, value in values.items():
                gauge.add_metric([model], value)
            yield gauge

    def registry(self) -> CollectorRegistry:
        """Return a registry that holds these metrics only."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
