"""Environments of Gymnasium: drivers and tasks for agents that learn by trying, and such agents as strategies.

After ``import optimizers.environments``, ``gymnasium.make("frugaltwin/color-mixing")`` makes one: the mirror of a strategy. An agent takes
the place of the strategy, and the environment that of the campaign.

**Actions**: ``Box(0, 1)`` [D], the columns of `optimizers.space.space.Space`: one for each number that can be chosen freely (a mixture has
one less than it has parts), one for each name of a choice, of which the largest counts. Where a column cannot take any value the nearest
one counts, and what violates a constraint is moved towards the middle until it does not. So every action is allowed, and the parts of a
mixture add up exactly. Of a task one column more is to hand in: above `HAND_IN` the best reading is handed in, and the episode is
*terminated*.

**Observations**: ``Box`` [n]: the last action, the last reading (labels as 0 and 1; 0 where there is none), whether it counts, the best
score (of a map the number of labels seen), and the share of the budget that is left.

**Reward**: by how much the reading is better than the best one before it, never how far it is from the best there is; of a map 1 for a
label that was never seen. The first reading has 0. *Truncated* is an episode whose budget is used. ``info`` has the settings, the outcomes,
their cost (time and money), what was spent and what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import register
from numpy.typing import NDArray

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.budget import IDLE, Budget
from frugaltwin.campaign import sensible
from frugaltwin.errors import DriverError, InvalidInput, OutOfBounds, Stopped
from frugaltwin.experiment import LARGEST, Continuous, Experiment, Measurement, Outcome, Settings, Trial, total
from frugaltwin.goals import Goal
from frugaltwin.goals.suitable import examples
from frugaltwin.plugins import Driver, Estimates, Prices, Strategy
from frugaltwin.state import State, Suggestion
from optimizers.space.space import Space

HAND_IN = 0.95
"""Value of the last column of an action above which a task is handed in."""
RUNS = 20
"""Experiments of an episode on a driver, where nothing else is said."""

Floats: TypeAlias = NDArray[np.float64]
Agent: TypeAlias = Callable[[Floats], Any]
"""Chooses an action by an observation."""


class View:
    """The spaces of an experiment with a goal: settings as actions, trials as observations. It has no state."""

    def __init__(self, goal: Goal, budget: Budget) -> None:
        if goal.has_front:
            raise InvalidInput("an environment has one reward; take a goal with one objective, or a map")
        self.goal, self.budget, self.experiment = goal, budget, goal.experiment
        self.space = Space.of(self.experiment)
        self.n_columns = max(1, self.space.size)
        lows, highs = [0.0] * self.n_columns, [1.0] * self.n_columns
        for outcome in self.experiment.outcomes:
            low, high = (0.0, 1.0) if outcome.labels else outcome.plausible or (-LARGEST, LARGEST)
            lows += [min(low, 0.0)] * max(1, len(outcome.labels))
            highs += [high] * max(1, len(outcome.labels))
        self.observations = spaces.Box(np.array([*lows, 0.0, -LARGEST, 0.0]), np.array([*highs, 1.0, LARGEST, 1.0]), dtype=np.float64)

    def settings(self, action: Floats) -> dict[str, float | str]:
        """The allowed settings of an action [D]."""
        return self.space.decode(self.space.pulled_inside(np.clip(np.nan_to_num(action[: self.space.size]), 0.0, 1.0)))

    def action(self, settings: Settings) -> Floats:
        """The action [D] of settings."""
        found: Floats = np.zeros(self.n_columns)
        found[: self.space.size] = np.clip(self.space.encode([settings])[0], 0.0, 1.0)
        return found

    def observation(self, found: Progress) -> Floats:
        """The observation after trials."""
        last = found.last
        outcomes = last.measurement.outcomes if last and last.measurement else {}
        values: list[float] = [*(self.action(last.settings) if last else np.zeros(self.n_columns))]
        for outcome in self.experiment.outcomes:
            value = outcomes.get(outcome.name)
            if outcome.labels:
                values += [float(value == label) for label in outcome.labels]
            else:
                values.append(float(value) if value is not None else 0.0)
        left = min(1 - getattr(found.spent, kind) / limit for kind, limit in self.budget.limits.items())
        return np.array([*values, float(last is not None and self.goal.counts(last)), found.standing, max(0.0, left)])


@dataclass(frozen=True)
class Progress:
    """Trials as far as they have come, each counted once."""

    goal: Goal
    last: Trial | None = None
    best: tuple[Trial, float] | None = None
    seen: frozenset[str] = frozenset()
    """Labels of a map."""
    spent: Amounts = Amounts()

    def after(self, trial: Trial) -> Progress:
        """The same after one more trial."""
        goal, best, label = self.goal, self.best, self.goal.label_of_trial(trial)
        score = goal.score_of_trial(trial) if goal.has_score and goal.meets(trial) else None
        if score is not None and (best is None or goal.objectives[0].is_better(score, than=best[1])):
            best = trial, score
        return Progress(goal, trial, best, self.seen | {label} if label else self.seen, self.spent + total([trial]))

    @property
    def standing(self) -> float:
        """The best score, or the number of labels seen; 0 as long as nothing counts."""
        return float(len(self.seen)) if not self.goal.has_score else self.best[1] if self.best else 0.0

    def improvement(self, before: Progress) -> float:
        """By how much it is better than before."""
        if self.goal.has_score and before.best is None:
            return 0.0
        return abs(self.standing - before.standing)


class LabEnvironment(gymnasium.Env[Floats, Floats]):
    """A driver or a task as an environment; the spaces are in the module's docstring.

    `reset` draws another practice lab for each seed: of a twin that has systems another one with other noise, of a task another lab and
    another color. It never draws a lab of a class.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - the library's attribute

    def __init__(
        self, driver: str = "", *, task: str = "", goal: str = "", budget: Mapping[str, float] | None = None,
        options: Mapping[str, Any] | None = None, render_mode: str | None = None,
    ) -> None:  # fmt: skip
        """An environment; nothing is connected before `reset`.

        Args:
            driver: A name of the catalog, or the address of a rig of a service.
            task: A name of a task that comes with the package, or its file, in place of a driver.
            goal: In the words of a campaign; the driver's usual one without it.
            budget: Limits by kind of amount; `RUNS` runs without it, or the task's.
            options: Of the driver.

        Raises:
            FrugalTwinError: There is no such driver, task or goal.
        """
        if bool(driver) == bool(task):
            raise InvalidInput("an environment is of a driver or of a task: name one of the two")
        self.render_mode = render_mode
        self._name, self._options, self._goal_text = driver, dict(options or {}), goal
        self._task = None
        if task:
            from frugaltwin.tasks.task import find

            self._task = find(task)
        limits = Budget(**budget) if budget else self._task.limits if self._task else Budget(runs=RUNS)
        self._driver, made = self._lab(1)
        self.view = View(made, limits)
        self._is_on = False
        self._exact: dict[bytes, Settings] = {}
        self.trials: list[Trial] = []
        self._progress = Progress(made)
        self.handed_in: Settings | None = None
        columns = self.view.n_columns + (self._task is not None)
        self.action_space = spaces.Box(0.0, 1.0, (columns,), dtype=np.float64)
        self.observation_space = self.view.observations

    @property
    def state(self) -> State:
        """The state that a strategy would be told now."""
        price = self._driver.price() if isinstance(self._driver, Prices) else None
        performed = tuple(trial.settings for trial in self.trials)
        return State(self.view.goal, tuple(self.trials), left=self.view.budget.left(self.trials), price=price, performed=performed)

    def action_of(self, settings: Settings) -> Floats:
        """The action for settings: `step` performs exactly these, to the last digit."""
        checked = self.view.experiment.check(settings)
        action: Floats = np.zeros(self.action_space.shape or ())
        action[: self.view.n_columns] = self.view.action(checked)
        self._exact = {action.tobytes(): checked}
        return action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        super().reset(seed=seed)
        self._leave()
        self._driver, goal = self._lab(int(self.np_random.integers(1, 2**31)))
        self.view = replace_goal(self.view, goal)
        self._driver.__enter__()
        self._is_on, self.trials, self.handed_in, self._exact = True, [], None, {}
        self._progress = Progress(self.view.goal)
        return self.view.observation(self._progress), self._info(None)

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        if not self._is_on:
            raise InvalidInput("this episode has ended, or none was begun; call reset()")
        view, action = self.view, np.asarray(action, dtype=np.float64)
        if self._task is not None and action[-1] > HAND_IN:
            best = self._progress.best
            self.handed_in = best[0].settings if best else None
            self._leave()
            return view.observation(self._progress), 0.0, True, False, self._info(None) | {"handed_in": self.handed_in}
        settings = self._exact.get(action.tobytes()) or view.settings(action)
        price = self._driver.estimate(settings) if isinstance(self._driver, Estimates) else Amounts()
        if self._is_used(price):
            self._leave()
            return view.observation(self._progress), 0.0, False, True, self._info(None)
        trial = self._attempt(settings)
        before, self._progress = self._progress, self._progress.after(trial)
        reward = self._progress.improvement(before)
        self.trials.append(trial)
        is_over = self._is_used()
        if is_over:
            self._leave()
        return view.observation(self._progress), reward, False, is_over, self._info(trial)

    def close(self) -> None:
        self._leave()

    def _attempt(self, settings: Settings) -> Trial:
        """An experiment as a campaign stores it; a failed one is a trial too."""
        number, cost = len(self.trials) + 1, Amounts()
        try:
            measurement = self._driver.perform(settings)
            cost = measurement.cost
            measured = sensible(self.view.goal, settings, measurement)
            return Trial(number, settings, measured, None, measured.cost)
        except DriverError as error:
            return Trial(number, settings, None, str(error), error.cost)
        except OutOfBounds as error:
            return Trial(number, settings, None, f"the reading makes no sense: {error}", cost)

    def _lab(self, number: int) -> tuple[Driver, Goal]:
        """The practice lab of a number, and the goal there."""
        if self._task is not None:
            from frugaltwin.tasks.practice import HiddenLab, practice_instance

            instance = practice_instance(self._task, number)
            driver = HiddenLab(instance.twin())
            return driver, instance.goal.on(driver.experiment)
        drawn = {"system": number} if _has_systems(self._name) and "system" not in self._options else {}
        options = {**_needed(self._name), **drawn, **self._options}
        made = catalog.make_driver(self._name, options, seed=number)
        return made, catalog.make_goal(self._goal_text or _usual_goal(made), made, number)

    def _info(self, trial: Trial | None) -> dict[str, Any]:
        spent = self._progress.spent
        left = self.view.budget - spent
        found: dict[str, Any] = {
            "spent": dict(vars(spent)),
            "left": {k: getattr(left, k) for k in self.view.budget.limits},
            "trials": len(self.trials),
        }
        if trial is not None:
            outcomes = dict(trial.measurement.outcomes) if trial.measurement else {}
            score = self.view.goal.score_of_trial(trial)
            found |= {"settings": dict(trial.settings), "outcomes": outcomes, "cost": dict(vars(trial.cost))}
            found |= {"error": trial.error or ""} | ({} if score is None else {"score": score})
        return found

    def _is_used(self, price: Amounts = Amounts()) -> bool:
        """Whether the budget allows no trial of this price."""
        return self.view.budget.exhausted_by(self._progress.spent, self.trials[-IDLE:], price) is not None

    def _leave(self) -> None:
        if self._is_on:
            self._is_on = False
            self._driver.__exit__(None, None, None)


def replace_goal(view: View, goal: Goal) -> View:
    """The same view with the goal of another lab, whose experiment has the same parameters and outcomes."""
    made = View.__new__(View)
    made.__dict__ |= view.__dict__ | {"goal": goal.on(view.experiment)}
    return made


class AgentStrategy:
    """An agent as a strategy of ours: it sees the same observation as in the environment, and keeps no memory."""

    def __init__(self, agent: Agent, budget: Mapping[str, float] | None = None) -> None:
        """A strategy.

        Args:
            agent: Chooses an action by an observation.
            budget: The limits that the agent knows; `RUNS` runs without it.
        """
        self._agent, self._budget = agent, Budget(**budget) if budget else Budget(runs=RUNS)

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        view = View(state.goal, self._budget)
        found = Progress(state.goal)
        for trial in state.trials:
            found = found.after(trial)
        action = np.asarray(self._agent(view.observation(found)), dtype=np.float64)
        first = view.settings(action)
        more = view.space.untried(view.space.sample(8 * count, len(state.trials)), count - 1, state, [first]) if count > 1 else []
        return [Suggestion(settings) for settings in (first, *more)]


def strategy_agent(environment: gymnasium.Env[Any, Any], strategy: Strategy) -> Agent:
    """A strategy of ours as an agent of an environment."""
    lab = environment.unwrapped
    if not isinstance(lab, LabEnvironment):
        raise InvalidInput(f"{environment} is no environment of Frugal Twin, so nobody can say what a strategy would be told there")

    def act(observation: Floats) -> Floats:
        return lab.action_of(strategy.suggest(lab.state)[0].settings)

    return act


class EnvironmentDriver:
    """Any environment with numbers as actions as a driver: an experiment is a reset and one step, and its outcome the reward.

    ``Campaign("mine", EnvironmentDriver(environment), …)`` tunes a controller that somebody else simulates.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], name: str = "environment", seed: int = 0) -> None:
        """A driver.

        Args:
            environment: Its action space is a ``Box`` [D] with limits.
            seed: Of the first reset; the k-th experiment has `seed` + k.

        Raises:
            InvalidInput: It takes other actions.
        """
        box = environment.action_space
        if not isinstance(box, spaces.Box) or box.shape is None or len(box.shape) != 1 or not box.is_bounded():
            raise InvalidInput(f"{name} takes {box}; an experiment has numbers with limits, a Box of one dimension")
        limits = zip(box.low.tolist(), box.high.tolist(), strict=True)
        parameters = tuple(Continuous(f"a{k}", low, high) for k, (low, high) in enumerate(limits, start=1))
        self.experiment = Experiment(name, parameters, (Outcome("reward"),))
        self._environment, self._seed, self._n, self._is_on, self._dtype = environment, seed, 0, False, box.dtype

    def __enter__(self) -> Self:
        self._is_on = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        if not self._is_on:
            raise Stopped(f"{self.experiment.name} was stopped, or it is not connected")
        self._environment.reset(seed=self._seed + self._n)
        self._n += 1
        action = np.array([settings[p.name] for p in self.experiment.parameters], dtype=self._dtype)
        _, reward, *_ = self._environment.step(action)
        return Measurement({"reward": float(reward)})

    def stop(self) -> None:
        self._is_on = False

    def __exit__(self, *failure: object) -> None:
        self._is_on = False


def names() -> dict[str, dict[str, str]]:
    """The arguments of every environment by its name."""
    from frugaltwin.tasks.task import shipped

    found = {f"frugaltwin/{name}": {"driver": name} for name in catalog.names("driver") if name != "practice"}
    return found | {f"frugaltwin/{name}": {"task": name} for name in shipped()}


def register_all() -> None:
    """Register all environments; twice does no harm."""
    for name, arguments in names().items():
        if name not in gymnasium.registry:
            register(name, "optimizers.environments:LabEnvironment", kwargs=arguments)
    if RIG not in gymnasium.registry:
        register(RIG, "optimizers.environments:LabEnvironment", nondeterministic=True)


RIG = "frugaltwin/rig"
"""An environment of a rig, or of one of a service: ``gymnasium.make(RIG, driver="http://…/rigs/color-1")``."""


def _has_systems(driver: str) -> bool:
    return not catalog.is_remote(driver) and "system" in catalog.stated_options("driver", driver)


def _needed(driver: str) -> Mapping[str, Any]:
    """Options without which a driver cannot be made, as it proposes itself."""
    return {} if catalog.is_remote(driver) else getattr(catalog.target("driver", driver), "example_options", {})


def _usual_goal(driver: Driver) -> str:
    try:
        return catalog.default_goal(driver)
    except InvalidInput:
        return next(iter(examples(driver.experiment)))


register_all()
