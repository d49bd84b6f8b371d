"""A profile as one HTML page that needs nothing but itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nightshift.card.pictures import profile_picture
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.profile import Profile
from nightshift.profile.told import Told, cut, kind_of, tell, value_of
from nightshift.spec import Kind

QUANTILES, MEDIAN = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99), (0.25, 0.5, 0.75)
"""What is told of numbers; of times, which are longer, less."""


@dataclass(frozen=True)
class Panel:
    """One column on the page: its line of facts, a picture, and more facts below."""

    told: Told
    picture: Markup
    facts: tuple[tuple[str, str], ...]
    quantiles: tuple[tuple[str, str], ...]
    missing: float
    warned: tuple[str, ...]


def render_profile(profile: Profile, named: str) -> str:
    """Return the page: no script, nothing loaded from elsewhere, all values escaped; light or dark as the reader's."""
    room = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return room.get_template("profile.html.j2").render(
        named=named, profile=profile, panels=list(_panels(profile)), sampled=len(profile.sample)
    )


def _panels(profile: Profile) -> Iterator[Panel]:
    for told, column in zip(tell(profile), profile.columns.values(), strict=True):
        shown = column.to_json()
        if "counts" in shown:
            shown["counts"] = {cut(name): count for name, count in shown["counts"].items()}
        picture = profile_picture(shown, ends=(told.lowest, told.highest))
        facts = tuple(_facts(column))
        yield Panel(told, picture, facts, tuple(_quantiles(column)), column.missing_share, _warned(column))


def _quantiles(column: FeatureProfile) -> Iterator[tuple[str, str]]:
    if column.kind is Kind.NUMERIC and column.known:
        for share in QUANTILES if kind_of(column) in ("number", "bool") else MEDIAN:
            yield f"{share:.0%}", value_of(column, column.quantile(share))


def _facts(column: FeatureProfile) -> Iterator[tuple[str, str]]:
    if column.kind is Kind.NUMERIC:
        if column.deviation is not None and set(column.types) <= {"number", "nan", "bool"}:
            yield "deviation", f"{column.deviation:.6g}"
        for name in ("zeros", "negative", "infinite"):
            if getattr(column, name):
                yield name, f"{getattr(column, name):,}"
    elif column.known:
        yield "letters", f"{column.shortest} to {column.longest}, {column.letters / column.known:.1f} on average"
    if len(column.types) > 1:
        yield "types", ", ".join(f"{count:,} {word}" for word, count in column.types.items())


def _warned(column: FeatureProfile) -> tuple[str, ...]:
    """Return what a person would want to look at."""
    said = []
    if column.rows and not column.known:
        said.append("no value")
    elif column.known and column.distinct.is_exact and column.distinct.estimate == 1:
        said.append("one value only")
    if column.infinite:
        said.append("infinite")
    if column.foreign:
        said.append("of a foreign type")
    if 0.5 < column.missing_share < 1:
        said.append("mostly missing")
    return tuple(said)
