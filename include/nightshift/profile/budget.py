"""How often the monitor may be wrong, and how that is shared out among all it asks in one window."""

from dataclasses import dataclass

MOVEMENT, FAULTS, TOGETHER, ALL, VOLUME = 0.5, 0.18, 0.2, 0.1, 0.02
WEIGHTS = {"location": 0.4, "level": 0.3, "spread": 0.2, "name": 0.2, "mix": 0.1}
"""What a column's movement spends on each of its measures, as far as it has them."""
FAULT_WEIGHTS = {"missing": 0.3, "spike": 0.3, "foreign": 0.1, "outside": 0.1, "unseen": 0.2}


@dataclass(frozen=True)
class Budget:
    """Probability of any alarm at all in a window in which nothing has changed."""

    per_window: float = 0.01

    def of_movement(self, columns: int) -> float:
        """What one column's own movement may spend."""
        return MOVEMENT * self.per_window / max(columns, 1)

    def of_fault(self, columns: int) -> float:
        """What one column's faults may spend."""
        return FAULTS * self.per_window / max(columns, 1)

    def of_together(self, columns: int) -> float:
        """What one column's bond with the others may spend."""
        return TOGETHER * self.per_window / max(columns, 1)

    @property
    def of_all(self) -> float:
        """What all columns' drift together may spend."""
        return ALL * self.per_window

    @property
    def of_volume(self) -> float:
        """What the number of rows may spend."""
        return VOLUME * self.per_window
