"""Propagate labels from measured points to their neighbors, and measure where they meet: phase diagram construction as published."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.label_spreading import NODES, LabelSpreading
from optimizers.models.mapping import Labeled, check_starts
from optimizers.space.search import Acquisition

_LEAST = 1e-9  # of a worth, whose logarithm is taken


@dataclass(frozen=True)
class LabelPropagation:
    """Label propagation and least confidence: phase diagram construction (PDC) as published, the baseline of the maps.

    Labels spread over places that lie close together until nothing changes. It asks where the likeliest label has the lowest
    chance. It holds measured labels for certain: of several labels at the same settings, the commonest counts.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    As long as all labels are alike it looks as far as possible from everything tried.

    Sources: Terayama et al., Phys. Rev. Mater. 3 (2019) 033802, doi:10.1103/PhysRevMaterials.3.033802; Zhu & Ghahramani,
    CMU-CALD-02-107 (2002) (label propagation).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        seen = Labeled.of(state, "label-propagation")

        def doubt() -> Acquisition:
            spread = self._spread(seen)
            return lambda X: (1 - spread.chances(X).amax(1) + _LEAST).log()

        # Between nodes nothing is told: without a list of places, it would halve one gap in a border for ever.
        return seen.least_certain(count, self.seed, self.starts, doubt, NODES ** (-1 / max(seen.space.size, 1)))

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        seen = Labeled.of(state, "label-propagation")
        return seen.prediction(settings, self._spread(seen).chances)

    def _spread(self, seen: Labeled) -> LabelSpreading:
        return LabelSpreading(seen.space, seen.X, seen.labels, seen.n_labels, self.seed)
