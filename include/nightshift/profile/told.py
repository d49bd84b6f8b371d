"""A profile in words: one line of facts for each column, for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nightshift.profile.feature import FeatureProfile
from nightshift.profile.profile import Profile
from nightshift.spec import Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHOWN = 40
"""A name is cut at so many letters."""
FEW, OFTEN_SHARE_MIN = 3, 0.001
"""So many of the commonest values are told, if they have such a share of the rows."""


@dataclass(frozen=True)
class Told:
    """What there is to say of one column. Numbers are written out; ``–`` is for what a column of its kind has not."""

    name: str
    kind: str
    missing: str
    distinct: str
    lowest: str
    median: str
    mean: str
    highest: str
    often: str


def tell(profile: Profile) -> Iterator[Told]:
    """Yield what there is to say of each column.

    >>> column = FeatureProfile.of([1.0, 2.0, 2.0, None], Kind.NUMERIC)
    >>> next(tell(Profile(4, {"hour": column}))).often
    '2 (50.0%), 1 (25.0%)'
    """
    for name, column in profile.columns.items():
        ends = (column.lowest, column.quantile(0.5) if column.bins else None, column.mean, column.highest)
        low, median, mean, high = (value_of(column, value) for value in ends)
        about = "" if column.distinct.is_exact else "≈ "
        yield Told(
            cut(name), kind_of(column), f"{column.missing_share:.1%}", f"{about}{column.distinct.estimate:,}",
            low, median, mean, high, _often(column),
        )  # fmt: skip


def kind_of(column: FeatureProfile) -> str:
    """Return what a column holds, in a word: time, number, bool, text, …; of several, the commonest."""
    words = {word: count for word, count in column.types.items() if word != "nan"}
    return max(sorted(words), key=lambda word: words[word]) if words else "nothing"


def value_of(column: FeatureProfile, value: float | None) -> str:
    """Return a value as people write it: a time as one, a number with as many digits as tell it.

    >>> value_of(FeatureProfile(Kind.NUMERIC, 1, 0, types={"time": 1}), 1_369_008_000_000_000.0)
    '2013-05-20 00:00'
    """
    if value is None:
        return "–"
    kind = kind_of(column)
    try:
        if kind == "time":
            return _moment(EPOCH + timedelta(microseconds=value))
        if kind == "duration":
            return str(timedelta(microseconds=round(value)))
    except OverflowError:
        pass  # a time before the year 1 or after 9999 is told as its number
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def cut(name: str) -> str:
    """Return a name that fits on one line: shortened, and with what is no letter made visible."""
    shown = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in name[: SHOWN + 1])
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def _often(column: FeatureProfile) -> str:
    if not column.known:
        return "–"
    often = {name: count for name, count in column.counts.items() if count >= OFTEN_SHARE_MIN * column.rows}
    listed = sorted(often.items(), key=lambda one: (-one[1], one[0]))[:FEW]
    numeric = column.kind is Kind.NUMERIC
    said = ", ".join(
        f"{value_of(column, float(name)) if numeric else cut(name)} ({count / column.rows:.1%})"
        for name, count in listed
    )
    return said or "–"


def _moment(moment: datetime) -> str:
    if moment.second or moment.microsecond:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M}"
