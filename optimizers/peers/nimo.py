"""NIMO's phase diagram construction: `pip install 'frugaltwin[nimo]'`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from frugaltwin.experiment import Settings
from frugaltwin.goals import Map
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.space.space import Floats, Space

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what the library imports
    from nimo.ai_tools.ai_tool_pdc import PDC as _PDC

_POOL = 400  # settings to choose from where there is no list of them
_LONGEST = 4000  # of a list: the memory and time grow with its square
_AHEAD = 16  # random settings to choose from, in case some were tried


@dataclass(frozen=True)
class PDC:
    """NIMO's phase diagram construction, a peer: labels spread from what was measured, and the least certain place is next.

    Needs ``pip install 'frugaltwin[nimo]'``. Works for maps, of labels or of where a number passes a value. Until two labels were read,
    it suggests random settings, as NIMO advises. It chooses among a list: that of the experiment, or 4000 drawn from a longer one; where
    there is none, among 400 evenly spread settings. A failed trial is left out of the model, and neither its settings nor pending ones
    are suggested again while there are others.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    estimation     LP               ``LP`` or ``LS``: scikit-learn's label propagation or label spreading
    sampling       LC               ``LC``, ``MS`` or ``EA``: least confidence, margin or entropy
    seed           0                of the random settings and of what is evenly spread
    ============== ================ ==========================================================================

    Sources: Terayama et al., Phys. Rev. Materials 3 (2019) 033802; Tamura, Tsuda & Matsuda, NIMO (2023), doi:10.1080/27660400.2023.2232297.
    """

    seed: int = 0
    estimation: Literal["LP", "LS"] = "LP"
    sampling: Literal["LC", "MS", "EA"] = "LC"

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "nimo-pdc"), Space.of(state.experiment)
        known, labels = _read(goal, state)
        chosen: list[Settings] = []
        while len(chosen) < count:
            busy = [*state.unavailable, *chosen]
            failed = [t.settings for t in state.trials if t.measurement is None and t.source != "stopped" and not t.is_retracted]
            pool = self._pool(space, [*known, *failed, *busy])
            if len(set(labels)) < 2 or not len(pool):
                X = space.sample(4 * count + _AHEAD, [self.seed, len(state.trials) + len(busy)], is_even=False)
            else:
                told, hidden = space.encode(known), space.encode([*failed, *busy])
                (best,) = self._calculated(np.vstack([told, pool, hidden]), labels, range(len(told), len(told) + len(pool)))[1]
                X = pool[best - len(told) :][:1]
            chosen += space.untried(np.vstack([X, space.sample(_AHEAD, self.seed + len(busy), is_even=False)]), 1, state, chosen)
        return [Suggestion(s, "proposed by NIMO (PDC)" if len(set(labels)) > 1 else "random, until two labels were read") for s in chosen]

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = mapped(state.goal, "nimo-pdc"), Space.of(state.experiment)
        known, labels = _read(goal, state)
        table = np.zeros((len(settings), len(goal.labels)))
        seen = sorted(set(labels))
        if len(seen) < 2:  # as label propagation has it
            table[:, seen] = 1.0
        else:
            X = np.vstack([space.encode(known), self._pool(space, [*known, *settings]), space.encode(settings)])
            found = self._calculated(X, labels, range(len(known), len(X)))[0].label_distributions_[-len(settings) :]
            table[:, seen] = found / found.sum(axis=1, keepdims=True)
        return Prediction(probabilities={label: table[:, k] for k, label in enumerate(goal.labels)})

    def _pool(self, space: Space, others: Sequence[Settings]) -> Floats:
        """Settings to choose from that are not among these others, [n, D]."""
        if not space.listed:
            return space.sample(_POOL, self.seed)
        keys = {space.experiment.key(s) for s in others}
        kept = [k for k, s in enumerate(space.listed) if space.experiment.key(s) not in keys]
        if len(kept) > _LONGEST:
            kept = sorted(np.random.default_rng(self.seed).choice(kept, _LONGEST, replace=False).tolist())
        return space.points[kept]

    def _calculated(self, X: Floats, labels: Sequence[int], free: range) -> tuple[Any, list[int]]:
        """NIMO's model of points X [n, D] of which the first have labels, and which of the free ones it would measure."""
        pdc = _PDC(None, None, 1, 1, self.estimation, self.sampling, False)
        told = np.array([[str(label)] for label in labels], dtype=object)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations that end before they converge
            chosen = pdc.calc_ai(told, X, list(range(len(labels))), list(free))
        return pdc, [int(k) for k in chosen]


def _read(goal: Map, state: State) -> tuple[list[Settings], list[int]]:
    """The settings that were measured, each once, and the number of the label that was read last."""
    read = {}
    for trial in state.trials:
        if (label := goal.label_of_trial(trial)) is not None:
            read[goal.experiment.key(trial.settings)] = (trial.settings, goal.labels.index(label))
    return [settings for settings, _ in read.values()], [label for _, label in read.values()]
