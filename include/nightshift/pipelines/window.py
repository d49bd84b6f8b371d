"""What a window is to the steps that cut or judge one."""

from datetime import timedelta

import pandas as pd

from nightshift.pipelines.work import Work
from nightshift.spec import ModelSpec


def has_too_few(work: Work) -> bool:
    """Whether the window has fewer judged rows than the declaration wants."""
    return bool(work.run.read("window.json")["judged"] < work.spec.monitor.rows_min)


def whole_windows(rows: pd.DataFrame, spec: ModelSpec) -> list[pd.DataFrame]:
    """Return the rows of each whole window that the monitor would judge, oldest first; cut back from the newest day."""
    if rows.empty:
        return []
    starts = rows[spec.time.column].dt.floor("D")
    number = (starts.max() - starts) // spec.monitor.window
    count = (starts.max() - starts.min() + timedelta(days=1)) // spec.monitor.window
    sizes = number.value_counts()
    whole = sizes[(sizes >= spec.monitor.rows_min) & (sizes.index < count)].index.sort_values(ascending=False)
    return [rows[number == place] for place in whole]
