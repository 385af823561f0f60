"""A frugal self-driving lab: the words, the loop and the memory. Start at `Campaign`.

Users import only from here. Names are loaded on first use, so that the import itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugaltwin.campaign import Budget, Campaign, StopRule
    from frugaltwin.catalog import make_driver, make_goal, make_strategy
    from frugaltwin.costs import Cost
    from frugaltwin.errors import (
        CampaignError,
        DriverError,
        FrugalTwinError,
        InvalidInput,
        LinkError,
        MissingPart,
        OutOfBounds,
        RigFault,
        ShadowedPackage,
        Stopped,
        StoreError,
        UnknownName,
    )
    from frugaltwin.experiment import (
        Categorical,
        Continuous,
        Discrete,
        Experiment,
        LinearConstraint,
        Measurement,
        MixtureSum,
        Outcome,
        Outcomes,
        Settings,
        Trial,
    )
    from frugaltwin.goals import Goal
    from frugaltwin.plugins import Driver, Estimates, KnowsTruth, Recommends, Strategy
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

_HOMES = {
    "campaign": ("Budget", "Campaign", "StopRule"),
    "catalog": ("make_driver", "make_goal", "make_strategy"),
    "costs": ("Cost",),
    "errors": (
        "CampaignError", "DriverError", "FrugalTwinError", "InvalidInput", "LinkError", "MissingPart", "OutOfBounds", "RigFault",
        "ShadowedPackage", "Stopped", "StoreError", "UnknownName",
    ),
    "experiment": (
        "Categorical", "Continuous", "Discrete", "Experiment", "LinearConstraint", "Measurement", "MixtureSum", "Outcome", "Outcomes",
        "Settings", "Trial",
    ),
    "goals": ("Goal",),
    "plugins": ("Driver", "Estimates", "KnowsTruth", "Recommends", "Strategy"),
    "spec": ("CampaignSpec",),
    "store": ("Store",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'frugaltwin' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"frugaltwin.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
