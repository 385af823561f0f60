"""Parts that all peers share: the settings as points that a library can take, the scores that it is told, and what becomes of its answer.

A library keeps a memory and a strategy has none, so each suggestion tells it the whole history anew, with random numbers that follow from
the seed and the number of trials. It works in the unit box of `Space`: logarithms of what has a logarithmic scale, and without the part
of a mixture that the others leave over.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from frugaltwin.experiment import Settings
from frugaltwin.goals.suitable import single
from frugaltwin.state import State, Suggestion
from optimizers.models.spread import spread
from optimizers.space.space import Floats, Space

_AHEAD = 64  # random points to choose from, in case the proposal was tried

Values = Mapping[str, float | str]
"""A point as a library has it: a number or a name by the name of a dimension."""


@dataclass(frozen=True)
class Dimension:
    """One number or one choice, as a library is told of it."""

    name: str
    column: int
    """The first column of the space."""
    levels: tuple[float, ...] = ()
    """The only allowed numbers; empty for all from 0 to 1."""
    names: tuple[str, ...] = ()
    """The names of a choice, each a column; empty for a number."""


@dataclass(frozen=True)
class Told:
    """The history, as a library is told of it."""

    space: Space
    dimensions: tuple[Dimension, ...]
    tried: tuple[Values, ...]
    """The trials that were performed; n of them."""
    losses: tuple[float, ...]
    """Their scores [n], small ones good, with mean 0 and spread 1. One that failed has the worst score that was measured."""
    pending: tuple[Values, ...]
    """Points that are being tried, or are not to be proposed."""
    turn: int
    """The number of trials and of pending points."""
    seed: int
    """Of this turn."""

    @property
    def listed(self) -> tuple[Values, ...]:
        """The settings of a space that lists them."""
        return _values(self.space, self.dimensions, self.space.listed)

    def point(self, values: Mapping[str, float | str]) -> Floats:
        """The point [D] of the space at the values of a library."""
        x = np.zeros(self.space.size)
        for d in self.dimensions:
            if d.names:
                x[d.column + d.names.index(str(values[d.name]))] = 1.0
            else:
                x[d.column] = float(values[d.name])
        return x


def dimensions(space: Space) -> tuple[Dimension, ...]:
    """The dimensions of a space, in the order of its columns."""
    levels = {column: tuple(values.tolist()) for column, values in space.levels}
    choices = dict(space.choices)
    found, column = list[Dimension](), 0
    while column < space.size:
        names = tuple(f"c{k}" for k in range(choices.get(column, 0)))
        found.append(Dimension(f"x{column}", column, levels.get(column, ()), names))
        column += max(len(names), 1)
    return tuple(found)


def told(name: str, state: State, seed: int, chosen: Sequence[Settings] = ()) -> Told:
    """The history of a state without fidelities.

    Args:
        name: Of the strategy, for a refusal.
        chosen: Settings that are pending, too.

    Raises:
        InvalidInput: The goal has no score, or more than one, or requirements.
    """
    goal, space = single(state.goal, name), Space.of(state.experiment)
    performed = [t for t in state.trials if t.source != "stopped" and not t.is_retracted]  # others say nothing about the settings
    scores = np.array([np.nan if (s := goal.score_of_trial(t)) is None else s for t in performed])
    losses = scores if goal.is_minimized else -scores
    known = losses[np.isfinite(losses)]
    if known.size:
        losses = (np.where(np.isfinite(losses), losses, known.max()) - known.mean()) / (spread(known) or 1.0)
    else:  # nobody knows how bad a failure is
        performed, losses = [], known
    busy = [*state.unavailable, *chosen]
    parts = dimensions(space)
    turn = len(state.trials) + len(busy)
    (drawn,) = np.random.SeedSequence([seed, turn]).generate_state(1)
    return Told(
        space,
        parts,
        _values(space, parts, [t.settings for t in performed]),
        tuple(losses.tolist()),
        _values(space, parts, busy),
        turn,
        int(drawn) >> 1,
    )


def suggestions(name: str, state: State, count: int, seed: int, why: str, propose: Callable[[Told], Values]) -> list[Suggestion]:
    """The next settings: those that a library proposes, one by one, each pending for the next.

    What breaks a constraint is moved towards the middle of what is allowed until it breaks none. In place of what has been tried comes the
    nearest other setting of a list, or random ones where there is no list.

    Args:
        why: The reason for all of them.
        propose: The library; it is not asked where there is one setting only.

    Raises:
        InvalidInput: As `told`; or there are fewer settings.
    """
    state = state.at_fidelity()
    chosen: list[Settings] = []
    while len(chosen) < count:
        history = told(name, state, seed, chosen)
        space = history.space
        X = space.sample(_AHEAD, history.seed, is_even=False)
        if space.size and not (space.listed and len(space.listed) <= len(chosen)):
            x = history.point(propose(history))
            if space.listed:
                X = space.points[np.argsort(((space.points - x) ** 2).sum(axis=1).round(9), kind="stable")]
            else:
                X = np.vstack([space.pulled_inside(x), X])
        chosen += space.untried(X, 1, state, chosen)
    return [Suggestion(settings, why) for settings in chosen]


@contextmanager
def quiet_and_seeded(seed: int) -> Iterator[None]:
    """Draw the random numbers of Python, NumPy and PyTorch from a seed, and give them back as they were; ignore warnings."""
    import torch

    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (the libraries draw from it)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def _values(space: Space, parts: Sequence[Dimension], settings: Sequence[Settings]) -> tuple[Values, ...]:
    """Settings as a library has them."""
    X = np.clip(space.snap(space.encode(settings)), 0.0, 1.0)
    return tuple({d.name: _value(d, x) for d in parts} for x in X)


def _value(d: Dimension, x: Floats) -> float | str:
    return d.names[int(x[d.column : d.column + len(d.names)].argmax())] if d.names else float(x[d.column])
