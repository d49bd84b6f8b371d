"""Which columns moved: asked one after another, the surest first, so that none is blamed for its neighbour."""

from collections.abc import Mapping
from dataclasses import dataclass

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import WEIGHTS
from nightshift.profile.movement import Measure, Movement
from nightshift.profile.profile import Profile

NEGLIGIBLE = 0.05
"""A shift of less than so many deviations is no alarm, however sure it is."""
AS_EVER_MIN = 1e-3
"""What chance does this often is nothing to suspect."""
SUSPECTS_MAX = 6
"""So many of the surest are tried; each trial costs as much as the question itself."""


Measures = Mapping[str, Measure]


@dataclass(frozen=True)
class Mover:
    """A column that moved, by what it showed itself, and how probable that is by chance."""

    column: str
    statistic: str
    measure: Measure
    tail: float


@dataclass(frozen=True)
class Question:
    """A window, on the bins of a baseline that is to say what moved in it."""

    baseline: Baseline
    current: Profile

    def movers(self, movements: Mapping[str, Movement]) -> list[Mover]:
        """Return the columns that moved on their own, the surest first; ``movements`` are of those to be asked.

        First those that show it themselves; the others are then asked about each
        other only, lest what they say be spoilt.
        """
        alpha = self.baseline.budget.of_movement(len(movements))
        alone = {name: movement.measures for name, movement in movements.items()}
        moved = sorted((one for one in self._asked(alone) if one.tail <= alpha), key=lambda one: one.tail)
        found = {one.column for one in moved}
        left = {name: measures for name, measures in alone.items() if name not in found}
        while left:
            told = self.baseline.bonds.measures(self.current.sample, among=left)
            surest = min(self._asked(left, told), key=lambda one: one.tail, default=None)
            if surest is None or surest.tail > alpha:
                return moved
            moved.append(surest)
            del left[surest.column]
        return moved

    def broken_bonds(self, columns: list[str]) -> list[Mover]:
        """Return the columns that look as ever but no longer go with the others.

        What comes and goes by itself, such as rain, is not asked: it goes with
        the others in another way each week.
        Of two columns that only go with each other, both are named: nobody can
        tell which of them it was.
        """
        found: list[Mover] = []
        left = [name for name in columns if not self.baseline.variation.swings_by_itself(name)]
        while len(left) > 1 and (loose := self._loose(left)):
            names = [one.column for one in loose]
            without = {name: [other for other in left if other != name] for name in names[:SUSPECTS_MAX]}
            rest = {name: len(self._loose(others, of=names)) for name, others in without.items()}
            if not all(rest.values()):
                return found + self._suspects([one for one in loose if rest.get(one.column) == 0], without)
            # without the one that came loose the fewest others look as if they had
            loosest = min(loose[:SUSPECTS_MAX], key=lambda one: rest[one.column])
            found.append(loosest)
            left.remove(loosest.column)
        return found

    def _suspects(self, loose: list[Mover], without: Mapping[str, list[str]]) -> list[Mover]:
        """Return of columns without which nothing is loose those without which all is as ever; all, if none is."""
        if len(loose) == 1:
            return loose
        doubts = {one.column: min((one.tail for one in self._bonds(without[one.column])), default=1.0) for one in loose}
        return [one for one in loose if doubts[one.column] >= AS_EVER_MIN] or loose

    def _loose(self, columns: list[str], *, of: list[str] | None = None) -> list[Mover]:
        """Return the columns whose bond with the others is off, the surest first."""
        alpha = self.baseline.budget.of_together(len(columns))
        sure = [one for one in self._bonds(columns, of=of) if one.tail <= alpha and one.measure.effect >= NEGLIGIBLE]
        return sorted(sure, key=lambda one: (one.tail, -one.measure.effect))

    def _bonds(self, columns: list[str], *, of: list[str] | None = None) -> list[Mover]:
        measured = self.baseline.bonds.measures(self.current.sample, among=columns, of=of)
        return [self._mover(name, "bond", found["bond"]) for name, found in measured.items()]

    def _asked(self, alone: Mapping[str, Measures], told: Mapping[str, Measures] | None = None) -> list[Mover]:
        """Return what speaks most for each column's having moved; see :meth:`_surest`."""
        found = (self._surest(name, own, (told or {}).get(name)) for name, own in alone.items())
        return [one for one in found if one is not None]

    def _surest(self, name: str, alone: Measures, told: Measures | None) -> Mover | None:
        """Return the most telling measure, its probability as if it alone had been asked."""
        measures = {**alone, **({"level": told["level"]} if told and self._is_known_ground(name, told) else {})}
        foretold = name in self.baseline.bonds.tables
        total = sum(WEIGHTS[one] for one in alone) + (WEIGHTS["level"] if foretold else 0.0)
        asked = [self._mover(name, statistic, measure) for statistic, measure in measures.items()]
        weighed = [
            Mover(name, one.statistic, one.measure, min(1.0, one.tail * total / WEIGHTS[one.statistic]))
            for one in asked
            if one.measure.effect >= NEGLIGIBLE
        ]
        return min(weighed, key=lambda one: one.tail, default=None)

    def _is_known_ground(self, name: str, told: Measures) -> bool:
        """Say whether the others foretell a column that comes and goes to be where the reference's own windows were.

        Further out, as on the coldest day of all, nobody knows how it goes with the others. Where it is itself
        does not count: a fault may have put it there.
        """
        variation = self.baseline.variation
        location = variation.swing(name, "location")
        # releases that were made before places were kept know only how far out the column was itself
        least, most = variation.swing(name, "foretold").ground or (-location.worst, location.worst)
        return location.variance == 0.0 or least <= told["foretold"].shift <= most

    def _mover(self, name: str, statistic: str, measure: Measure) -> Mover:
        return Mover(name, statistic, measure, self.baseline.variation.swing(name, statistic).tail(measure))
