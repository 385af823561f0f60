"""Liquids that separate and settle: a camera that reads the heights of the layers, and the lab that the ternary twins share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.diagram import Diagram, Line, Mark
from frugaltwin.errors import InvalidInput, RigFault
from frugaltwin.experiment import Continuous, MixtureSum, Outcome
from simulator.equations.ternary_equilibrium import Family, Mixing, PhaseMap, phase_map, spinodal
from simulator.instruments.phase_lab import LabOptions, PhaseLab, PhaseState

Floats = NDArray[np.float64]

LABELS = ("one phase", "two phases", "three phases")
LAYERS = ("layer_1", "layer_2", "layer_3")
TIE_LINES = 9  # drawn of every family


@dataclass(frozen=True)
class LayerCamera:
    """Photographs a settled sample from the side: outcomes `layer_1` … `layer_3`, heights from the bottom up as shares of the whole.

    A phase that is there in a smaller share than `limit` is not seen as a layer. The label is the number of layers that are seen.
    """

    limit: float = 0.03
    """The least height that counts: four standard deviations of a reading."""
    cost: Amounts = Amounts(seconds=30.0, money=0.01)
    drift: float = 0.0005

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        words = ("lowest", "second", "third")
        return tuple(Outcome(n, "1", f"height of the {w} layer over that of the sample") for n, w in zip(LAYERS, words, strict=True))

    @cached_property
    def noise(self) -> Floats:
        return np.full(3, 0.0075)

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        return np.array([[s.fractions.get(name, 0.0) for name in LAYERS] for s in states]).reshape(-1, 3)

    def inferred(self, reading: Floats) -> str:
        return LABELS[max(int((reading > self.limit).sum()), 1) - 1]


class SettledMixture(PhaseLab):
    """A mixture of three liquids at one temperature, shaken, and settled into layers by density."""

    def __init__(
        self,
        name: str,
        parts: Mapping[str, str],
        mixing: Mixing,
        densities: tuple[float, float, float],
        options: LabOptions,
        *,
        temperature: float,
    ) -> None:
        """A lab for mixtures of three parts, name → description.

        Args:
            densities: Of the pure parts; a layer's is the mean by its composition. Only their order matters.
        """
        names = tuple(parts)
        super().__init__(
            name,
            tuple(Continuous(part, 0.0, 1.0, "1", description) for part, description in parts.items()),
            LABELS,
            LayerCamera(),
            options,
            constraints=(MixtureSum(names, 1.0),),
            temperature=temperature,
        )
        self.mixing = mixing
        self._densities = np.array(densities)

    @property
    def phase_map(self) -> PhaseMap:
        """The whole true diagram."""
        return phase_map(self.mixing)

    def states(self, X: Floats) -> list[PhaseState]:
        """The equilibrium states.

        Raises:
            RigFault: An equilibrium cannot be found.
        """
        try:
            found = self.phase_map.equilibria(X)
        except ArithmeticError as error:
            raise RigFault(f"{self.experiment.name}: {error}") from error
        order = np.argsort(-(found.compositions @ self._densities), axis=1, kind="stable")  # those that are not there come last
        heights = found.amounts[np.arange(len(X))[:, None], order].tolist()
        counts = found.count.tolist()
        return [PhaseState(LABELS[n - 1], dict(zip(LAYERS[:n], row, strict=False))) for n, row in zip(counts, heights, strict=True)]

    def diagram(self, at: float | None = None) -> Diagram:
        """Binodals, triangles, tie lines, the spinodal and plait points.

        Raises:
            InvalidInput: Asked for a section: there is none.
        """
        if at is not None:
            raise InvalidInput(f"{self.experiment.name} has no section to cut at {at:g}: its diagram is a triangle at one temperature")
        known = self.phase_map
        lines: list[Line] = []
        for family in known.families:
            lines += [Line("boundary", points) for points in _binodals(family)]
            chosen = np.unique(np.linspace(0, len(family.first) - 1, TIE_LINES + 2).round().astype(int)[1:-1])
            lines += [Line("tie line", np.stack([family.first[k], family.second[k]])) for k in chosen]
        for triangle in known.triangles:
            lines += [Line("boundary", triangle[[i, j]]) for i, j in ((0, 1), (0, 2), (1, 2))]
        lines += [Line("spinodal", points) for points in spinodal(self.mixing)]
        marks = tuple(Mark("plait point", tuple(p.tolist())) for p in known.plait_points)
        return Diagram(tuple(p.name for p in self.experiment.parameters), "phase", lines=tuple(lines), marks=marks)


def _binodals(family: Family) -> list[Floats]:
    """The ends of all tie lines: two lines, or one that bends around a plait point."""
    first, second = family.first, family.second
    if family.plait == (False, False):
        return [first, second]
    if family.plait[0]:
        first, second = first[::-1], second[::-1]
    around = np.concatenate([first, second[-2::-1]])
    return [np.concatenate([around, first[:1]]) if all(family.plait) else around]
