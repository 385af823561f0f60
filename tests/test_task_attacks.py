"""Attacks on tasks: who knows all of the source, half of a class's labs and everybody's optimum knows nothing about another lab.

What is not attacked here is in `test_classes`: one hand-in, one stream of noise whatever a campaign's seed is, no truth in any answer.
"""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin import catalog
from frugaltwin.state import State
from frugaltwin.tasks.instance import Instance
from frugaltwin.tasks.judge import InstanceJudge
from frugaltwin.tasks.practice import practice_instance
from frugaltwin.tasks.task import find
from tests.forms import times

Array = NDArray[np.float64]
SECRET = b"the secret of a class"
LABS = times(24, 200)
RECIPES = times(30, 100)
TASKS = ("color-match", "ferroelectric-response")


def judge(task: str, student: int) -> InstanceJudge:
    return InstanceJudge(Instance.of(find(task), SECRET, f"u_{student:05d}"))


@cache
def sampled(task: str, n_recipes: int) -> list[dict[str, float]]:
    """The same recipes for all labs."""
    goal = practice_instance(find(task), 1).goal
    chosen = catalog.make_strategy("sobol", seed=7).suggest(State(goal), n_recipes)
    return [{name: float(value) for name, value in one.settings.items()} for one in chosen]


def optima(task: str, is_practice: bool = False) -> Array:
    """What everybody is after, [labs, values]: where the best of the recipes is, and how good it is."""
    found = losses(task, LABS, RECIPES, is_practice)
    recipes = np.array([list(one.values()) for one in sampled(task, RECIPES)])
    return np.column_stack([recipes[found.argmin(axis=1)], found.min(axis=1)])


@cache
def losses(task: str, n_labs: int, n_recipes: int, is_practice: bool = False) -> Array:
    """True losses [labs, recipes] of the same recipes in each lab."""
    judges = [InstanceJudge(practice_instance(find(task), k + 1)) if is_practice else judge(task, k) for k in range(n_labs)]
    recipes = [dict(one) for one in sampled(task, n_recipes)]
    return np.array([[one._losses(recipe) for recipe in recipes] for one in judges], dtype=float)


def digits(n: int) -> Array:
    """All that an attacker sees of a student, [students, features]: the number in the id, its digits and its parity, and when they came."""
    k = np.arange(n)
    return np.column_stack([np.ones(n), k / n, *((k >> bit) & 1 for bit in range(9)), *(np.sin(2 * np.pi * k / p) for p in (3, 7, 10, 16))])


@pytest.mark.parametrize("task", TASKS)
def test_who_knows_half_of_the_labs_predicts_the_others_no_better_than_who_knows_the_prior(task: str) -> None:
    """The prior is what anybody can draw from the source, under a secret of their own."""
    drawn = optima(task, is_practice=True)
    hidden = np.array([[np.mean((of < x) + (of == x) / 2) for x, of in zip(lab, drawn.T, strict=True)] for lab in optima(task)])
    prior = 0.5  # of a rank among what the prior draws
    known, others = np.arange(0, LABS, 2), np.arange(1, LABS, 2)
    features = digits(LABS)
    ridge = np.linalg.solve(features[known].T @ features[known] + np.eye(features.shape[1]), features[known].T @ hidden[known])
    guesses = {
        "the mean of those that are known": np.broadcast_to(hidden[known].mean(axis=0), hidden[others].shape),
        "the lab of who came just before": hidden[others - 1],
        "a fit to the number of the student": features[others] @ ridge,
    }
    by_prior = np.abs(hidden[others] - prior).mean()
    for name, guess in guesses.items():
        assert np.abs(hidden[others] - guess).mean() > (0.97 if LABS > 100 else 0.9) * by_prior, name
    told = hidden[others] + 0.1 * (hidden[others] - prior)
    assert np.abs(hidden[others] - told).mean() < 0.2 * by_prior, "who knew would be found out"


@pytest.mark.parametrize("task", TASKS)
def test_anothers_optimum_is_no_better_than_what_random_choices_find(task: str) -> None:
    n_labs, budget = times(10, 60), int(find(task).budget.runs or 0)
    found = losses(task, n_labs, RECIPES * 3)
    gaps = found - found.min(axis=1, keepdims=True)
    best = found.argmin(axis=1)
    copied = [gaps[mine, best[theirs]] for mine in range(n_labs) for theirs in range(n_labs) if mine != theirs]
    random = np.random.default_rng(0)
    by_random = [lab[random.choice(len(lab), budget, replace=False)].min() for lab in gaps for _ in range(20)]
    assert np.median(copied) >= np.median(by_random)
    assert np.median(gaps[np.arange(n_labs), best]) == 0.0, "one's own is"
