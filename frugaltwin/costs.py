"""Cost of an experiment: time, money and liquid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Time, money and liquid that something took."""

    seconds: float = 0.0
    """Lab time, s (virtual on a twin)."""
    money: float = 0.0
    """USD."""
    volume: float = 0.0
    """Liquid used, rinses included, mL."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.money + other.money, self.volume + other.volume)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.seconds - other.seconds, self.money - other.money, self.volume - other.volume)
