"""Model the probability of every label with a Gaussian process, and measure where the likeliest one is least certain."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.classifier import Classifier
from optimizers.models.mapping import Labeled, check_starts

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
        seen = Labeled.of(state, "gp-classifier")
        return seen.least_certain(count, self.seed, self.starts, lambda: _fitted(seen).doubt, _ENOUGH)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        seen = Labeled.of(state, "gp-classifier")
        return seen.prediction(settings, _fitted(seen).chances)


def _fitted(seen: Labeled) -> Classifier:
    return Classifier(seen.X, seen.labels, seen.n_labels)
