"""Other people's optimizers behind two verbs, on the unit box, with a score to be made small. Imported only when they are run."""

import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

MODULES = {"ax": "ax", "baybe": "baybe", "optuna-gp": "optuna", "optuna-tpe": "optuna"}


class Peer(Protocol):
    def ask(self) -> list[float]: ...

    def tell(self, x: list[float], score: float) -> None: ...

    def best(self) -> list[float] | None:
        """Recommendation of its model; None where it has none."""
        ...


class Ax:
    """The default of its `Client`."""

    def __init__(self, d: int, seed: int) -> None:
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig

        self._names = [f"x{i}" for i in range(d)]
        self._client = Client(random_seed=seed)
        box = [RangeParameterConfig(name=n, bounds=(0.0, 1.0), parameter_type="float") for n in self._names]
        self._client.configure_experiment(parameters=box)
        self._client.configure_optimization(objective="-score")

    def ask(self) -> list[float]:
        ((self._trial, x),) = self._client.get_next_trials(max_trials=1).items()
        return [float(x[n]) for n in self._names]

    def tell(self, x: list[float], score: float) -> None:
        self._client.complete_trial(trial_index=self._trial, raw_data={"score": score})

    def attach(self, x: list[float], score: float) -> None:
        trial = self._client.attach_trial(dict(zip(self._names, x, strict=True)))
        self._client.complete_trial(trial_index=trial, raw_data={"score": score})

    def best(self) -> list[float] | None:
        x = self._client.get_best_parameterization()[0]
        return [float(x[n]) for n in self._names]


class BayBE:
    """The default of its `Campaign`."""

    def __init__(self, d: int, seed: int) -> None:
        from baybe import Campaign, Settings
        from baybe.parameters import NumericalContinuousParameter
        from baybe.searchspace import SearchSpace
        from baybe.targets import NumericalTarget

        Settings(random_seed=seed).activate()
        self._names = [f"x{i}" for i in range(d)]
        box = SearchSpace.from_product([NumericalContinuousParameter(name=n, bounds=(0, 1)) for n in self._names])
        self._campaign = Campaign(box, NumericalTarget(name="score", minimize=True).to_objective())

    def ask(self) -> list[float]:
        return [float(v) for v in self._campaign.recommend(batch_size=1)[self._names].to_numpy()[0]]

    def tell(self, x: list[float], score: float) -> None:
        import pandas as pd

        self._campaign.add_measurements(pd.DataFrame([{**dict(zip(self._names, x, strict=True)), "score": score}]))

    attach = tell

    def best(self) -> list[float] | None:
        return None


class Optuna:
    """A study with one of its samplers."""

    def __init__(self, d: int, seed: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._names = [f"x{i}" for i in range(d)]
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed))

    def ask(self) -> list[float]:
        self._trial: Any = self._study.ask()
        return [float(self._trial.suggest_float(n, 0.0, 1.0)) for n in self._names]

    def tell(self, x: list[float], score: float) -> None:
        self._study.tell(self._trial, score)

    def attach(self, x: list[float], score: float) -> None:
        from optuna.distributions import FloatDistribution
        from optuna.trial import create_trial

        box: dict[str, Any] = {n: FloatDistribution(0.0, 1.0) for n in self._names}
        self._study.add_trial(create_trial(params=dict(zip(self._names, x, strict=True)), distributions=box, value=score))

    def best(self) -> list[float] | None:
        return None


PEERS: dict[str, Callable[[int, int], Any]] = {
    "ax": Ax,
    "baybe": BayBE,
    "optuna-gp": lambda d, seed: Optuna(d, seed, "GPSampler"),
    "optuna-tpe": lambda d, seed: Optuna(d, seed, "TPESampler"),
}


def require(names: Sequence[str]) -> None:
    """Leave with one sentence if some of these peers are not installed; keep the others from talking."""
    if missing := sorted({MODULES[n] for n in names if n in MODULES and importlib.util.find_spec(MODULES[n]) is None}):
        sys.exit(f"{', '.join(missing)} not installed: pip install -e '.[peers]', or run with --only ours")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
