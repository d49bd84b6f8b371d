"""What became of what was predicted: labels joined to predictions by key."""

import pandas as pd


def join(predictions: pd.DataFrame, labels: pd.DataFrame, *, key: str = "key", label: str = "label") -> pd.DataFrame:
    """Return the answered predictions with what became of them.

    Rows that were refused are left out. Of several labels of one key the one
    known last counts, and of equal times the one that comes last. Of several
    predictions of one key each is judged.

    Parameters
    ----------
    predictions
        Rows of the log, with columns ``key`` and ``refused``.
    labels
        Columns ``key``, ``label`` (by the names given) and ``known_at``; keys are compared as text.
    key, label
        What these columns are called in ``labels``.

    Returns
    -------
    The predictions in their order with columns ``label`` and ``known_at`` more; both null where nothing is known yet.

    Examples
    --------
    >>> asked = pd.DataFrame({"key": ["7", "8"], "refused": [False, False], "prediction": [1.0, 0.0]})
    >>> known_at = pd.to_datetime(["2013-05-02", "2013-05-03"])
    >>> known = pd.DataFrame({"flight": [7, 7], "late": [0, 1], "known_at": known_at})
    >>> join(asked, known, key="flight", label="late")["label"].tolist()
    [1.0, nan]
    """
    answered = predictions[~predictions["refused"].astype(bool)].reset_index(drop=True)
    named = labels[labels[key].notna()]
    latest = named.sort_values("known_at", kind="stable").drop_duplicates(subset=key, keep="last")
    latest = pd.DataFrame({"key": latest[key].astype(str), "label": latest[label], "known_at": latest["known_at"]})
    return answered.merge(latest, on="key", how="left", validate="many_to_one")
