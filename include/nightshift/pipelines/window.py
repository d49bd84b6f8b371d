"""What every step about a window asks first."""

from nightshift.pipelines.work import Work


def has_too_few(work: Work) -> bool:
    """Whether the window has fewer judged rows than the declaration wants."""
    return bool(work.run.read("window.json")["judged"] < work.spec.monitor.rows_min)
