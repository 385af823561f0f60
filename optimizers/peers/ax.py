"""Ax: `pip install 'frugaltwin[ax]'`."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from frugaltwin.experiment import Settings
from frugaltwin.state import State, Suggestion
from optimizers.peers.peer import Dimension, Told, Values, quiet_and_seeded, suggestions, told

_DISABLED = logging.root.manager.disable
logging.disable(logging.INFO)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what the library imports
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
    from ax.utils.common.logger import ROOT_STREAM_HANDLER

logging.disable(_DISABLED)
ROOT_STREAM_HANDLER.setLevel(logging.ERROR)  # it tells of every trial

_WALK = 5  # trials of Ax's default before its model, the middle of the box and Sobol points
_FEWEST = 2  # of them that are measured


@dataclass(frozen=True)
class Ax:
    """Ax, a peer: the default of its `Client`, a Gaussian process on the score and logarithmic noisy expected improvement.

    Needs ``pip install 'frugaltwin[ax]'``. Works for a goal with one score. It begins as Ax does, in the middle and with Sobol points,
    and its model takes over after five trials.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    seed           0                of everything random
    ============== ================ ==========================================================================

    One part of a mixture is what the others leave over, and Ax is told the limits of the rest where all of them are continuous. A
    proposal that breaks one nevertheless is moved towards the middle of what is allowed. Of a list it gets the nearest settings that were
    not tried. A failed trial has the worst score that was measured, pending ones are Ax's running trials, and it recommends what its model
    expects most of among what was tried.

    Source: Olson et al., Ax: a platform for adaptive experimentation, AutoML (2025).
    """

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        return suggestions("ax", state, count, self.seed, "proposed by Ax", self._propose)

    def recommend(self, state: State) -> Settings:
        state = state.at_fidelity()
        history = told("ax", state, self.seed)
        space = history.space
        if not history.tried or not space.size:
            return space.decode(space.sample(1, self.seed)[0])
        with quiet_and_seeded(history.seed):
            client = _client(history, self.seed, with_model=True)
            client.get_next_trials(1)  # fits the model
            values, *_ = client.get_best_parameterization()
        return space.decode(space.pulled_inside(history.point(_plain(values))))

    def _propose(self, history: Told) -> Values:
        walks = len(history.tried) < _FEWEST or len(history.tried) + len(history.pending) < _WALK
        with quiet_and_seeded(self.seed if walks else history.seed):
            client = _client(history, self.seed, with_model=not walks)
            proposals = client.get_next_trials(history.turn + 1 if walks else 1)
        return _plain(list(proposals.values())[-1])


def _plain(values: Mapping[str, Any]) -> Values:
    """Values of Ax without those of other kinds of numbers."""
    return {name: value if isinstance(value, str) else float(value) for name, value in values.items()}


def _client(history: Told, seed: int, with_model: bool) -> Client:
    """A client at its model that was told the history; or one at its first trials that was told nothing."""
    client = Client(random_seed=history.seed if with_model else seed)
    client.configure_experiment(parameters=[_parameter(d) for d in history.dimensions], parameter_constraints=_limits(history))
    client.configure_optimization(objective="-loss")
    if not with_model:
        count = max(history.turn + 1, _WALK)
        client.configure_generation_strategy(initialization_budget=count, initialization_random_seed=seed)
        return client
    client.configure_generation_strategy(initialization_budget=0, initialize_with_center=False)
    for values, loss in zip(history.tried, history.losses, strict=True):
        client.complete_trial(client.attach_trial(dict(values)), raw_data={"loss": loss})
    for values in history.pending:
        client.attach_trial(dict(values))
    return client


def _parameter(d: Dimension) -> Any:
    if d.names:
        return ChoiceParameterConfig(name=d.name, values=list(d.names), parameter_type="str", is_ordered=False)
    if d.levels:
        return ChoiceParameterConfig(name=d.name, values=list(d.levels), parameter_type="float", is_ordered=True)
    return RangeParameterConfig(name=d.name, bounds=(0.0, 1.0), parameter_type="float")


def _limits(history: Told) -> list[str]:
    """The constraints on continuous columns alone, in Ax's words."""
    space, found = history.space, list[str]()
    for row, limit in zip(space.rows, space.limits, strict=True):
        used = np.flatnonzero(row)
        if space.continuous[used].all() and not space.listed:
            found.append(" + ".join(f"{float(row[j])!r} * x{j}" for j in used) + f" <= {float(limit)!r}")
    return found
