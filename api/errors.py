"""Everything that the service refuses: one tree below that of `frugaltwin.errors`. `api.routes.problems` gives each an HTTP status.

FrugalTwinError
├── Unauthorized         no token, or one that is unknown, expired or revoked; a join code that is not good
├── Forbidden            the token, or its owner's role or approval, does not allow it
├── NotFound             there is no such thing, or it is another person's
├── Conflict             the state of the thing does not allow it
├── BudgetExhausted      there is not that much left to spend
├── Unprocessable        an idempotency key was used for another request
└── TooMany              too many requests, or too much that waits: later it may be allowed
"""

from frugaltwin.errors import FrugalTwinError


class Unauthorized(FrugalTwinError):
    """No token, or one that is unknown, expired or revoked."""


class Forbidden(FrugalTwinError):
    """The token does not allow that."""


class NotFound(FrugalTwinError):
    """There is no such thing, or it is not yours: the answer is the same."""


class Conflict(FrugalTwinError):
    """Not in this state."""


class BudgetExhausted(FrugalTwinError):
    """A person may not spend that much any more."""


class Unprocessable(FrugalTwinError):
    """An idempotency key was used for another request."""


class TooMany(FrugalTwinError):
    """Too many requests with one token, or too much of one person's that waits."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        """The refusal, and when to try again.

        Args:
            retry_after: s.
        """
        super().__init__(message)
        self.retry_after = retry_after
