"""Instances: for each student another lab, drawn by a keyed hash that nobody can compute without the secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from frugaltwin.goals import Goal
from frugaltwin.plugins import Driver
from frugaltwin.tasks.task import Task

GENERATOR = 1
"""Version of the drawing. It is part of the key, and is stored with what was drawn: another version may draw other labs."""


def key_of(task: str, secret: bytes, student: str, draw: int = 0, generator: int = GENERATOR) -> bytes:
    """The key of the instance of a student: all that is random about it follows from this.

    Source of the keyed hash: RFC 2104 (HMAC), with SHA-256.

    Args:
        task: Its name.
        generator: The version of the drawing that the instance was drawn by.
    """
    return hmac.new(secret, json.dumps([generator, task, student, draw], ensure_ascii=False).encode(), hashlib.sha256).digest()


@dataclass(frozen=True)
class Instance:
    """The lab of one student: what was drawn for it, and the key of its random numbers."""

    task: Task
    student: str
    draw: int
    """How often it was drawn again, because it was harder or easier than others."""
    key: bytes
    """Of everything random about it; whoever has it can compute the lab."""

    @classmethod
    def of(cls, task: Task, secret: bytes, student: str, draw: int = 0) -> Instance:
        """The instance of a student under the secret of a class: the same arguments always give the same one."""
        return cls(task, student, draw, key_of(task.name, secret, student, draw))

    @classmethod
    def of_key(cls, task: Task, key: bytes) -> Instance:
        """The instance of a key."""
        return cls(task, "", 0, key)

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The options that were drawn. They are computed here and by no library, which might draw others in its next version."""
        found: dict[str, Any] = {}
        for name, about in self.task.draw.items():
            number = self.number(f"option {name}")
            if about.any:
                found[name] = number or 1
            elif about.of:
                found[name] = about.of[number % len(about.of)]
            elif about.low is not None and about.high is not None:
                found[name] = about.low + (about.high - about.low) * (number >> 43) / 2**53
        return found

    def number(self, purpose: str) -> int:
        """A random number of 96 bits for a purpose; numbers for two purposes have nothing in common."""
        return int.from_bytes(hmac.new(self.key, purpose.encode(), hashlib.sha256).digest()[:12], "big")

    def twin(self, noise: str = "student") -> Driver:
        """The twin; its noise is another one for each name: the student's own, and those by which par is played."""
        return self.task.twin(self.options, self.number(f"noise {noise}"))

    @cached_property
    def goal(self) -> Goal:
        """The goal on this lab; a reachable color is another one for each."""
        return self.task.make_goal(self.twin(), self.number("goal"))
