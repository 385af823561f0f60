"""Map where an outcome is what by a mixture of models that earn their weight, and measure where that is least certain."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.mapping import borders, check_starts, chosen_settings, distance_penalty, known_labels, map_prediction
from optimizers.models.mixture import learned
from optimizers.models.reasons import UNCERTAIN_LABEL
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

_ENOUGH = 0.03  # how finely a border is wanted, per root of the dimension of the unit box


@dataclass(frozen=True)
class PhaseMap:
    """A mixture of models of the map, and least confidence: it asks where the likeliest label is least certain.

    Nobody has to know beforehand what kind of map it is. The models are a Gaussian process classifier, which is the better one where
    borders are smooth and fields are large, and a vote of everything measured whose width shrinks with how densely was measured, which
    finds many fields, thin ones and islands. Each has the weight that it earned by the chances that it gave to the labels that were
    read next.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the models take over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    As long as all labels are alike it looks as far as possible from everything tried.

    Sources: Dawid, J. R. Stat. Soc. A 147 (1984) 278, doi:10.2307/2981683 (the prequential score); Rasmussen & Williams, Gaussian
    Processes for Machine Learning, MIT Press (2006) (the classifier); Lewis & Catlett, ICML (1994),
    doi:10.1016/B978-1-55860-335-6.50026-X (least confidence).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "phase-map"), Space.of(state.experiment)
        X, labels = known_labels(space, goal, state.trials)
        if len(set(labels.tolist())) < 2:
            return chosen_settings(space, state, count, self.seed, self.starts, None, X)
        model = learned(X, labels, len(goal.labels))

        def worth(busy: Floats) -> Acquisition:
            room = distance_penalty(busy)
            # Where any place can be asked for, it would look for ever where three fields meet.
            gap = distance_penalty(X[:0] if space.listed else X, _ENOUGH)
            return lambda Z: model.doubt(Z) + room(Z) + gap(Z)

        return chosen_settings(space, state, count, self.seed, self.starts, worth, borders(X, labels), UNCERTAIN_LABEL)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "phase-map"), Space.of(state.experiment)
        return map_prediction(goal, space, settings, learned(*known_labels(space, goal, state.trials), len(goal.labels)).chances)
