"""Model the probability of every label with a Gaussian process, and measure where the likeliest one is least certain."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.classifier import Classifier
from optimizers.models.mapping import borders, check_starts, chosen_settings, distance_penalty, known_labels, map_prediction
from optimizers.models.reasons import UNCERTAIN_LABEL
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

_ENOUGH = 0.03  # how finely a border is wanted, per root of the dimension of the unit box


@dataclass(frozen=True)
class GPClassifier:
    """A Gaussian process classifier, and least confidence: it asks where the likeliest label is least certain.

    Every label has a latent function, a Gaussian process with one length scale per parameter; the chance of a label is the softmax
    of them, averaged over what the data leave open. A place counts by one minus the chance of its likeliest label, times the square
    root of how much its chances are still open (their standard deviation over the model's own draws): where a border is known
    well, another label tells little. Where any place can be asked for, nothing new is expected within a few percent of the box around
    one that was measured. Labels that contradict each other, as readings near a border do, soften the border and do no harm.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    As long as all labels are alike it looks as far as possible from everything tried.

    Sources: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), algorithms 3.3 and 3.4 (Laplace's
    approximation for several classes); Lewis & Catlett, ICML (1994), doi:10.1016/B978-1-55860-335-6.50026-X (least confidence).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "gp-classifier"), Space.of(state.experiment)
        X, labels = known_labels(space, goal, state.trials)
        if len(set(labels.tolist())) < 2:
            return chosen_settings(space, state, count, self.seed, self.starts, None, X)
        model = Classifier(X, labels, len(goal.labels))

        def worth(busy: Floats) -> Acquisition:
            room = distance_penalty(busy)
            # Where any place can be asked for, it would look for ever where three fields meet.
            gap = distance_penalty(X[:0] if space.listed else X, _ENOUGH)
            return lambda Z: model.doubt(Z) + room(Z) + gap(Z)

        return chosen_settings(space, state, count, self.seed, self.starts, worth, borders(X, labels), UNCERTAIN_LABEL)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "gp-classifier"), Space.of(state.experiment)
        return map_prediction(goal, space, settings, Classifier(*known_labels(space, goal, state.trials), len(goal.labels)).chances)
