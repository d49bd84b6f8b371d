"""What a window is to the steps that cut or judge one."""

from datetime import timedelta

import pandas as pd

from nightshift.pipelines.work import Work
from nightshift.spec import ModelSpec


def has_too_few(work: Work) -> bool:
    """Whether the window has fewer judged rows than the declaration wants."""
    return bool(work.run.read("window.json")["judged"] < work.spec.monitor.rows_min)


def whole_windows(rows: pd.DataFrame, spec: ModelSpec) -> list[pd.DataFrame]:
    """Return the rows of each whole window that the monitor would judge, oldest first.

    They are cut back from the end of the newest day, or of the newest window if that is shorter.
    """
    if rows.empty:
        return []
    grid = min(spec.monitor.window, timedelta(days=1))
    starts = rows[spec.time.column].dt.floor(pd.Timedelta(grid))
    number = (starts.max() - starts) // spec.monitor.window
    count = (starts.max() - starts.min() + grid) // spec.monitor.window
    sizes = number.value_counts()
    whole = sizes[(sizes >= spec.monitor.rows_min) & (sizes.index < count)].index.sort_values(ascending=False)
    return [rows[number == place] for place in whole]
