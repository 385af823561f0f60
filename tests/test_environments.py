"""Environments of Gymnasium: what its checker promises, the same episode each time, and campaigns through them."""

import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from frugaltwin import catalog
from frugaltwin.budget import Budget
from frugaltwin.campaign import Campaign
from frugaltwin.errors import InvalidInput
from frugaltwin.store import Store
from frugaltwin.tasks.practice import practice_instance
from frugaltwin.tasks.task import find
from optimizers.environments import HAND_IN, RIG, AgentStrategy, EnvironmentDriver, LabEnvironment, names, strategy_agent
from tests.forms import IS_LONG

SLOW = () if IS_LONG else ("frugaltwin/calphad",)
ALL = [name for name in names() if name not in SLOW]


def lab(name: str, **options: Any) -> LabEnvironment:
    made = gymnasium.make(name, **options).unwrapped
    assert isinstance(made, LabEnvironment)
    return made


def size(environment: LabEnvironment) -> int:
    """The number of columns of an action."""
    (columns,) = environment.action_space.shape or (0,)
    return int(columns)


def episode(environment: LabEnvironment, seed: int, steps: int = 6) -> list[Any]:
    """All that an episode shows, by actions that follow from the seed."""
    observation, info = environment.reset(seed=seed)
    found: list[Any] = [observation.tobytes(), repr(info)]
    random = np.random.default_rng(seed)
    for _ in range(steps):
        action = random.uniform(0, HAND_IN, size(environment))
        observation, reward, terminated, truncated, info = environment.step(action)
        found += [observation.tobytes(), reward, terminated, truncated, repr(info)]
    return found


@pytest.mark.parametrize("name", ALL)
def test_the_checker_has_nothing_to_say_and_an_episode_is_the_same_bit_for_bit(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(lab(name), skip_render_check=True)
    assert episode(lab(name), 3) == episode(lab(name), 3)
    assert episode(lab(name), 3, 1) != episode(lab(name), 4, 1)


@pytest.mark.parametrize("name", ["frugaltwin/color-mixing", "frugaltwin/ternary-solution", "frugaltwin/pumpbot", "frugaltwin/table"])
def test_every_action_is_allowed_and_settings_are_the_action_that_they_came_from(name: str) -> None:
    environment = lab(name)
    environment.reset(seed=1)
    for action in [*np.random.default_rng(0).uniform(0, 1, (30, size(environment))), np.zeros(environment.view.n_columns)]:
        settings = environment.view.settings(action)
        assert environment.view.experiment.check(settings) == settings
    *_, info = environment.step(environment.action_of(settings))
    assert info["settings"] == settings


def test_an_episode_ends_with_its_budget_or_with_the_hand_in() -> None:
    environment = lab("frugaltwin/color-match")
    environment.reset(seed=1)
    action = np.full(size(environment), 0.5)
    ends = [environment.step(action)[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]
    with pytest.raises(InvalidInput, match="reset"):
        environment.step(action)
    environment.reset(seed=1)
    *_, info = environment.step(action)
    *_, terminated, truncated, last = environment.step(np.ones(size(environment)))
    assert (terminated, truncated, last["handed_in"]) == (True, False, info["settings"])
    poor = lab("frugaltwin/color-mixing", budget={"seconds": 1.0})
    poor.reset(seed=1)
    *_, truncated, info = poor.step(np.full(3, 0.5))
    assert (truncated, info["trials"]) == (True, 0)


def test_the_reward_is_the_improvement_and_nothing_of_the_best_there_is() -> None:
    environment = lab("frugaltwin/color-mixing")
    environment.reset(seed=5)
    rewards, scores = [], []
    for action in np.random.default_rng(0).uniform(0, 1, (8, 3)):
        _, reward, *_, info = environment.step(action)
        rewards.append(reward)
        scores.append(info["score"])
    best = np.minimum.accumulate(scores)
    assert rewards == pytest.approx([0.0, *(best[:-1] - best[1:])])


@pytest.mark.parametrize("task", ["color-match", "eutectic-map"])
def test_a_seed_is_a_practice_lab(task: str) -> None:
    environment = lab(f"frugaltwin/{task}")
    environment.reset(seed=2)
    number = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(2))).integers(1, 2**31))
    assert environment.view.goal.text == practice_instance(find(task), number).goal.text


@pytest.mark.parametrize(
    ("driver", "strategy", "goal"), [("color-mixing", "composite", "match-color:coral"), ("eutectic", "random", "map:phase_field")]
)
def test_a_strategy_through_the_environment_is_a_campaign_trial_for_trial(driver: str, strategy: str, goal: str, tmp_path: Path) -> None:
    if driver == "eutectic":
        goal = catalog.default_goal(catalog.make_driver(driver))
    environment = lab(f"frugaltwin/{driver}", goal=goal, budget={"runs": 6}, options={"system": 7})
    environment.reset(seed=1)
    number = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(1))).integers(1, 2**31))
    agent, truncated = strategy_agent(environment, catalog.make_strategy(strategy, seed=3)), False
    observation = environment.reset(seed=1)[0]
    while not truncated:
        observation, _, _, truncated, _ = environment.step(agent(observation))
    twin = catalog.make_driver(driver, {"system": 7}, seed=number)
    made = catalog.make_strategy(strategy, seed=3)
    campaign = Campaign("same", twin, catalog.make_goal(goal, twin, number), made, Store(tmp_path / "s.db"), Budget(runs=6))
    trials = list(campaign.run())
    assert [(t.settings, t.measurement) for t in environment.trials] == [(t.settings, t.measurement) for t in trials]


def test_an_agent_is_a_strategy_that_sees_what_it_sees_in_the_environment(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def agent(observation: np.ndarray[Any, Any]) -> Any:
        seen.append(observation.tobytes())
        return np.abs(np.sin(np.arange(1, 4) * (1 + observation.sum())))

    environment = lab("frugaltwin/color-mixing", goal="match-color:coral", budget={"runs": 4}, options={"system": 7})
    observation, _ = environment.reset(seed=1)
    number = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(1))).integers(1, 2**31))
    for _ in range(4):
        observation, *_ = environment.step(agent(observation))
    through, seen[:] = list(seen), []
    twin = catalog.make_driver("color-mixing", {"system": 7}, seed=number)
    strategy = AgentStrategy(agent, {"runs": 4})
    goal = catalog.make_goal("match-color:coral", twin)
    trials = list(Campaign("agent", twin, goal, strategy, Store(tmp_path / "s.db"), Budget(runs=4)).run())
    assert [t.settings for t in trials] == [t.settings for t in environment.trials]
    assert seen == through


def test_any_environment_is_a_driver_in_five_lines(tmp_path: Path) -> None:
    class Hill(gymnasium.Env[Any, Any]):
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
        observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float64)

        def reset(self, **words: Any) -> tuple[Any, dict[str, Any]]:
            return np.zeros(1), {}

        def step(self, action: Any) -> Any:
            return np.zeros(1), 1.0 - float(np.sum((action - 0.3) ** 2)), True, False, {}

    driver = EnvironmentDriver(Hill(), "hill")
    goal = catalog.make_goal("maximize:reward", driver)
    campaign = Campaign("hill", driver, goal, catalog.make_strategy("sobol"), Store(tmp_path / "s.db"), Budget(runs=16))
    assert campaign.score(max(campaign.run(), key=lambda t: campaign.score(t) or -9.0)) > 0.5  # type: ignore[operator]
    with pytest.raises(InvalidInput, match="numbers with limits"):
        EnvironmentDriver(gymnasium.make("CartPole-v1"))


@pytest.mark.timing
@pytest.mark.skipif(not IS_LONG, reason="it measures time")
def test_environments_side_by_side_are_as_fast_as_alone() -> None:
    """Not slower than half the rate of each alone: compared in the same run, by time of a core."""

    def rate(environment: Any, n: int) -> float:
        environment.reset(seed=1)
        environment.action_space.seed(1)
        begun = time.process_time()
        for _ in range(n):
            environment.step(environment.action_space.sample())
        return n / (time.process_time() - begun)

    def alone() -> Any:
        return gymnasium.make("frugaltwin/ferroelectric", budget={"runs": 1_000_000})

    together = gymnasium.vector.SyncVectorEnv([alone] * 4)
    assert max(4 * rate(together, 40) for _ in range(3)) > 0.5 * max(rate(alone(), 160) for _ in range(3))


def test_what_is_no_environment_is_refused() -> None:
    assert gymnasium.spec(RIG).nondeterministic
    for words, said in (
        ({}, "of a driver or of a task"),
        ({"driver": "color-mixing", "goal": ["minimize:t_415", "minimize:t_680"]}, "one reward"),
    ):
        with pytest.raises(InvalidInput, match=said):
            LabEnvironment(**words)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no environment of Frugal Twin"):
        strategy_agent(gymnasium.make("CartPole-v1"), catalog.make_strategy("random"))
