"""Resources of a service: the answers of the service, as the client gives them to its caller and as the OpenAPI document describes them.

Server and client share these classes. The sentence below a field is its description in the OpenAPI document (in a class that others inherit
from it stands in `Field`, because pydantic reads the sentences of one class only). A client passes over fields that a newer service adds; a
field with a default may be missing in the answer of an older one.
"""

from frugaltwin.client.resources.campaigns import CampaignStatus, CampaignTrial, ListedCampaign, Recommendation, TrialCorrection
from frugaltwin.client.resources.entries import LogEntry
from frugaltwin.client.resources.events import Event
from frugaltwin.client.resources.experiments import ENDS, Quote, Submission
from frugaltwin.client.resources.join_codes import Code, ListedCode
from frugaltwin.client.resources.people import Account, Entry, Joined, Me, Named, Person
from frugaltwin.client.resources.rigs import Rig, RigGoal, Running
from frugaltwin.client.resources.tasks import BoardRow, Change, Class, ClassTask, Grade, Labs
from frugaltwin.client.resources.tokens import ListedToken, Token

__all__ = [
    "ENDS",
    "Account",
    "BoardRow",
    "CampaignStatus",
    "CampaignTrial",
    "Change",
    "Class",
    "ClassTask",
    "Code",
    "Entry",
    "Event",
    "Grade",
    "Joined",
    "Labs",
    "ListedCampaign",
    "ListedCode",
    "ListedToken",
    "LogEntry",
    "Me",
    "Named",
    "Person",
    "Quote",
    "Recommendation",
    "Rig",
    "RigGoal",
    "Running",
    "Submission",
    "Token",
    "TrialCorrection",
]
