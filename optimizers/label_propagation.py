"""Propagate labels from measured points to their neighbors, and measure where they meet: phase diagram construction as published."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.label_spreading import NODES, LabelSpreading
from optimizers.models.mapping import (
    borders,
    check_starts,
    chosen_settings,
    distance_penalty,
    known_labels,
    map_prediction,
)
from optimizers.models.reasons import UNCERTAIN_LABEL
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

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
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "label-propagation"), Space.of(state.experiment)
        X, labels = known_labels(space, goal, state.trials)
        if len(set(labels.tolist())) < 2:
            return chosen_settings(space, state, count, self.seed, self.starts, None, X)
        spread = LabelSpreading(space, X, labels, len(goal.labels), self.seed)

        # Between nodes nothing is told: without a list of places, it would halve one gap in a border for ever.
        gap = distance_penalty(X[:0] if space.listed else X, NODES ** (-1 / max(space.size, 1)))

        def worth(busy: Floats) -> Acquisition:
            room = distance_penalty(busy)
            return lambda X: (1 - spread.chances(X).amax(1) + _LEAST).log() + room(X) + gap(X)

        return chosen_settings(space, state, count, self.seed, self.starts, worth, borders(X, labels), UNCERTAIN_LABEL)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "label-propagation"), Space.of(state.experiment)
        spread = LabelSpreading(space, *known_labels(space, goal, state.trials), len(goal.labels), self.seed)
        return map_prediction(goal, space, settings, spread.chances)
