"""Map where an outcome is what by a mixture of models that earn their weight, and measure where that is least certain."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Settings
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.families import Axes, families
from optimizers.models.mapping import Labeled, check_starts, end_penalty
from optimizers.models.mixture import Mixture, learned
from optimizers.space.search import CLIMBS, Acquisition

_ENOUGH = 0.03  # how finely a border is wanted, per root of the dimension of the unit box


@dataclass(frozen=True)
class PhaseMap:
    """A mixture of models of the map, and least confidence: it asks where the likeliest label is least certain.

    Nobody has to know beforehand what kind of map it is. The models are families of free energies, where the parameters are a composition
    and a temperature or three parts of a whole, and a correction of what these expect; a Gaussian process classifier, for other smooth
    borders; and a vote of everything measured whose width shrinks with how densely was measured, which finds many fields, thin ones and
    islands. Each has the weight that it earned by the chances that it gave to the labels that were read next.

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
        seen = Labeled.of(state, "phase-map")
        climbs = 0 if families(Axes.of(seen.space), seen.n_labels) else CLIMBS
        return seen.least_certain(count, self.seed, self.starts, lambda: _doubt(seen), _ENOUGH, climbs)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        seen = Labeled.of(state, "phase-map")
        return seen.prediction(settings, _learned(seen).chances)


def _doubt(seen: Labeled) -> Acquisition:
    model, ends = _learned(seen), end_penalty(seen.space)
    return lambda X: model.doubt(X) + ends(X)


def _learned(seen: Labeled) -> Mixture:
    return learned(Axes.of(seen.space), seen.X, seen.labels, seen.n_labels)
