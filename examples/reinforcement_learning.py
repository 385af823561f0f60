"""Train an agent by reinforcement learning, and compare it with random actions in labs that it has not seen.

PPO needs stable-baselines3 (`pip install stable-baselines3`); without it only random actions play.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

import optimizers.environments  # noqa: F401 - registers frugaltwin/…

STEPS, LABS = 256, range(1000, 1005)


def lab() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("frugaltwin/ferroelectric", goal="maximize:piezoelectric", budget={"runs": 10})


def best_score(choose: Callable[[Any], Any], seed: int) -> float:
    environment = lab()
    observation, info = environment.reset(seed=seed)
    scores, truncated = [], False
    while not truncated:
        observation, _, _, truncated, info = environment.step(choose(observation))
        scores.append(info["score"])
    return float(max(scores))


random = np.random.default_rng(0)
print(f"random: {np.mean([best_score(lambda _: random.uniform(0, 1, 2), seed) for seed in LABS]):.1f} on average")
try:
    from stable_baselines3 import PPO
except ImportError:
    print("PPO: stable-baselines3 is not installed")
else:
    scaled = gymnasium.wrappers.NormalizeObservation(lab())
    agent = PPO("MlpPolicy", scaled, n_steps=64, batch_size=32, seed=0, device="cpu")
    agent.learn(STEPS)
    scaled.update_running_mean = False

    def act(observation: Any) -> Any:
        return agent.predict(scaled.observation(observation), deterministic=True)[0]

    print(f"PPO after {STEPS} steps, which is too few to learn much: {np.mean([best_score(act, seed) for seed in LABS]):.1f}")
