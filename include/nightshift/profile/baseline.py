"""What windows are compared with: a reference, how it varies by itself, and how often a comparison may be wrong."""

from dataclasses import dataclass, field
from functools import cached_property

from nightshift.profile.budget import Budget
from nightshift.profile.profile import Profile
from nightshift.profile.together import Bonds
from nightshift.profile.variation import Variation


@dataclass(frozen=True)
class Baseline:
    """A reference made ready once for many windows."""

    reference: Profile
    variation: Variation = field(default_factory=Variation)
    budget: Budget = field(default_factory=Budget)

    @cached_property
    def bonds(self) -> Bonds:
        """How the reference's columns go together."""
        return Bonds.of(self.reference)
