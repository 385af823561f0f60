from .budget import Budget, StopRule
from .campaign import Campaign
from .catalog import make_driver, make_goal, make_strategy
from .client.client import AsyncClient, Client
from .client.remote_driver import RemoteDriver
from .costs import Cost
from .errors import (
    CampaignError,
    DriverError,
    FrugalTwinError,
    InvalidInput,
    LinkError,
    MissingPart,
    OutOfBounds,
    Refused,
    RigFault,
    ShadowedPackage,
    Stopped,
    StoreError,
    UnknownName,
)
from .experiment import (
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
from .goals import Goal
from .pictures.picture import Picture, picture
from .plugins import Driver, Estimates, KnowsDiagram, KnowsTruth, Predicts, Recommends, Strategy
from .prediction import Prediction
from .spec import CampaignSpec
from .state import Rejection, State, Suggestion
from .store import Store

__all__ = [
    "AsyncClient",
    "Budget",
    "Campaign",
    "CampaignError",
    "CampaignSpec",
    "Categorical",
    "Client",
    "Continuous",
    "Cost",
    "Discrete",
    "Driver",
    "DriverError",
    "Estimates",
    "Experiment",
    "FrugalTwinError",
    "Goal",
    "InvalidInput",
    "KnowsDiagram",
    "KnowsTruth",
    "LinearConstraint",
    "LinkError",
    "Measurement",
    "MissingPart",
    "MixtureSum",
    "OutOfBounds",
    "Outcome",
    "Outcomes",
    "Picture",
    "Prediction",
    "Predicts",
    "Recommends",
    "Refused",
    "Rejection",
    "RemoteDriver",
    "RigFault",
    "Settings",
    "ShadowedPackage",
    "State",
    "StopRule",
    "Stopped",
    "Store",
    "StoreError",
    "Strategy",
    "Suggestion",
    "Trial",
    "UnknownName",
    "make_driver",
    "make_goal",
    "make_strategy",
    "picture",
]
