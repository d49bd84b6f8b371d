"""Which columns moved: asked one after another, the surest first, so that none is blamed for its neighbour."""

from collections.abc import Mapping
from dataclasses import dataclass

from nightshift.profile.budget import WEIGHTS, Budget
from nightshift.profile.movement import Measure, Movement
from nightshift.profile.profile import Profile
from nightshift.profile.together import Bonds
from nightshift.profile.variation import Variation

NEGLIGIBLE = 0.05
"""A shift of less than so many deviations is no alarm, however sure it is."""


@dataclass(frozen=True)
class Mover:
    """A column that moved, by what it showed itself, and how probable that is by chance."""

    column: str
    statistic: str
    measure: Measure
    tail: float


@dataclass(frozen=True)
class Question:
    """All that is asked of a window: two profiles on the same bins, and what is known of the reference."""

    reference: Profile
    current: Profile
    own: Variation
    budget: Budget

    def movers(self, columns: list[str]) -> list[Mover]:
        """Return the columns that moved on their own, the surest first.

        Once a column is known to have moved, the others are no longer asked
        about it: what they say of each other is unspoilt.
        """
        moved: list[Mover] = []
        alone = {name: self._alone(name) for name in columns}
        bonds, left = Bonds.of(self.reference), list(columns)
        alpha = self.budget.of_movement(len(columns))
        while left:
            told = bonds.measures(self.current.sample, among=left)
            asked = [self._surest(name, alone[name], told.get(name, {})) for name in left]
            surest = min((one for one in asked if one is not None), key=lambda one: one.tail, default=None)
            if surest is None or surest.tail > alpha:
                return moved
            moved.append(surest)
            left.remove(surest.column)
        return moved

    def broken_bonds(self, columns: list[str]) -> list[Mover]:
        """Return the columns that look as ever but no longer go with the others.

        What comes and goes by itself, such as rain, is not asked: it goes with
        the others in another way each week.
        Of two columns that only go with each other, both are named: nobody can
        tell which of them it was.
        """
        found: list[Mover] = []
        bonds, left = Bonds.of(self.reference), [name for name in columns if not self.own.swings_by_itself(name)]
        while len(left) > 1:
            loose = self._loose(bonds, left)
            if not loose:
                return found
            found.append(loose[0])
            left.remove(loose[0].column)
            if not self._loose(bonds, left):
                others = (
                    one
                    for one in loose[1:]
                    if not self._loose(bonds, [n for n in [*left, loose[0].column] if n != one.column])
                )
                found.extend(others)
                return found
        return found

    def _loose(self, bonds: Bonds, columns: list[str]) -> list[Mover]:
        """Return the columns whose bond with the others is off, the surest first."""
        alpha = self.budget.of_together(len(columns))
        measured = bonds.measures(self.current.sample, among=columns)
        asked = [self._mover(name, "bond", found["bond"]) for name, found in measured.items()]
        sure = [one for one in asked if one.tail <= alpha and one.measure.effect >= NEGLIGIBLE]
        return sorted(sure, key=lambda one: (one.tail, -one.measure.effect))

    def _alone(self, name: str) -> Mapping[str, Measure]:
        return Movement.of(self.reference.columns[name], self.current.columns[name]).measures

    def _surest(self, name: str, alone: Mapping[str, Measure], told: Mapping[str, Measure]) -> Mover | None:
        """Return what speaks most for a column's having moved, its probability as if it alone had been asked."""
        measures = {**alone, **({"level": told["level"]} if "level" in told else {})}
        total = sum(WEIGHTS[statistic] for statistic in measures)
        asked = [self._mover(name, statistic, measure) for statistic, measure in measures.items()]
        weighed = [
            Mover(name, one.statistic, one.measure, min(1.0, one.tail * total / WEIGHTS[one.statistic]))
            for one in asked
            if one.measure.effect >= NEGLIGIBLE
        ]
        return min(weighed, key=lambda one: one.tail, default=None)

    def _mover(self, name: str, statistic: str, measure: Measure) -> Mover:
        return Mover(name, statistic, measure, self.own.swing(name, statistic).tail(measure))
