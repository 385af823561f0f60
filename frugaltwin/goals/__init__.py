"""Goals: known functions of the outcomes. Strategies model the outcomes and apply the goal to what the model expects.

A new goal is one file here and one line in the catalog.
"""

from frugaltwin.goals.combined import Combined
from frugaltwin.goals.extreme import Maximize, Minimize
from frugaltwin.goals.goal import Column, Goal, Objective, Requirement, Tally, Value
from frugaltwin.goals.map import Map
from frugaltwin.goals.match_color import MatchColor

__all__ = ["Column", "Combined", "Goal", "Map", "MatchColor", "Maximize", "Minimize", "Objective", "Requirement", "Tally", "Value"]
