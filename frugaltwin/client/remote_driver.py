"""A rig of a service as a driver: the campaign runs on your machine, its experiments on the rig's."""

from __future__ import annotations

import math
import re
import threading
import time
from contextlib import nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from frugaltwin.amounts import Amounts
from frugaltwin.client.fingerprint import digest, fingerprint
from frugaltwin.errors import CampaignError, DriverError, FrugalTwinError, InvalidInput, LinkError, Refused, RigFault, Stopped
from frugaltwin.experiment import Experiment, Measurement, Settings
from frugaltwin.prices import Price

if TYPE_CHECKING:
    from frugaltwin.client.client import Client
    from frugaltwin.client.resources import Rig, Submission
    from frugaltwin.plugins import Attempt

LOOK = 20.0
"""The time between two checks of a rig that an experiment waits for, s; a rig whose service was just started may be offline as long."""
FIRST = 10.0
"""The time that a service may be silent at first, s: after it the address is probably wrong."""


def remote_driver(url: str, patience: float = 3600.0, outage: float = 300.0) -> RemoteDriver:
    """A rig of a service, named by its address: ``http://192.168.1.20:8000/rigs/color-1``. Your token is in FRUGALTWIN_TOKEN.

    Args:
        url: The service's address, then ``/rigs/`` and the rig's name.
        patience: Time that one experiment may take, s, with the wait for others.
        outage: Time that the service or the rig may be unreachable, s: a restart, say.
    """
    return RemoteDriver(url, None, patience, outage)


class RemoteDriver:
    """Driver of a rig of a service. Each attempt of a campaign is performed once, also when either side is killed in between."""

    def __init__(self, url: str, token: str | None = None, patience: float = 3600.0, outage: float = 300.0) -> None:
        """A rig of a service; nothing is sent yet.

        Args:
            url: The service's address, then ``/rigs/`` and the rig's name.
            token: Your token, as for `frugaltwin.client.client.Client`.
            patience: Time that one experiment may take, s, with the wait for others.
            outage: Time that the service or the rig may be unreachable, s: a restart, say.

        Raises:
            InvalidInput: The address is not one of a rig, or the token is none.
        """
        from frugaltwin.client.client import Client
        from frugaltwin.client.protocol import without_secrets

        address, has_rig, name = url.rstrip("/").rpartition("/rigs/")
        if not has_rig or not name or set(name) & set("/?#"):
            raise InvalidInput(f"{without_secrets(url)!r} is no address of a rig; write one like http://192.168.1.20:8000/rigs/color-1")
        if not (0 < patience < math.inf and 0 <= outage < math.inf):
            raise InvalidInput(f"patience = {patience:g}, outage = {outage:g}: both are s, and patience is more than none")
        self.name, self.patience, self.outage = unquote(name), patience, outage
        self.look = LOOK
        self._stop = threading.Event()
        self._is_entered = False
        self._attempt: Attempt | None = None
        self._campaign: tuple[str, str] | None = None  # its id in its store and at the service
        self._begun: dict[int, Submission] = {}  # trials of it that its store does not have yet, by number
        self._running: str | None = None
        self._address, self._token = address, token
        self._client = Client(address, token, outage, self._rest)

    def __repr__(self) -> str:
        return f"<RemoteDriver {self._client.url}/rigs/{self.name}>"

    @cached_property
    def _rig(self) -> Rig:
        with self._other_client(min(FIRST, self.outage)) as client:
            return client.rig(self.name)

    @property
    def experiment(self) -> Experiment:
        """The rig's experiment; the service is asked once, for this and for `price`.

        Raises:
            FrugalTwinError: The service did not answer.
        """
        return self._rig.experiment

    @property
    def is_real(self) -> bool:
        """Whether the service says that the rig is hardware and no twin.

        Raises:
            FrugalTwinError: The service did not answer.
        """
        return self._rig.is_real

    def price(self) -> Price | None:
        """The price of the rig's experiments; None where its driver names none, or the service is of an older version.

        Raises:
            FrugalTwinError: The service did not answer.
        """
        return self._rig.price

    @property
    def fingerprint(self) -> str:
        """Digest of the rig's experiment: it changes when another rig has this name."""
        return fingerprint(self.experiment)

    def announce(self, attempt: Attempt) -> Settings | None:
        """Name the trial that the next `perform` is. The service keeps it in a campaign of its own, for everybody who may read that.

        Raises:
            CampaignError: The service does not answer.
            Refused: It does not take trials of this campaign.
            FrugalTwinError: It does not know the campaign's goal.
        """
        if self._campaign is None or self._campaign[0] != attempt.campaign:
            try:
                self._campaign = attempt.campaign, self._joined(attempt)
            except LinkError as error:
                raise _gone(error) from error
        self._attempt = attempt
        begun = self._begun.get(attempt.number)
        return None if begun is None else begun.settings

    def __enter__(self) -> Self:
        """Check that the rig is online. A paused one is waited for.

        Raises:
            LinkError: It is offline.
            RigFault: It was stopped.
        """
        self._stop.clear()
        try:
            end = time.monotonic() + min(self.look, self.outage)
            while (state := self._client.rig(self.name).state) == "offline" and time.monotonic() < end:
                self._rest(0.5)
            self._check(state)
        except BaseException:
            self._client.close()
            raise
        self._is_entered = True
        return self

    def estimate(self, settings: Settings) -> Amounts:
        """The cost that the service expects; nothing is spent and nothing moves."""
        with nullcontext(self._client) if self._is_entered else self._other_client(self.outage) as client:
            return client.price(self.name, settings).estimate

    def perform(self, settings: Settings) -> Measurement:
        """Submit the settings and wait for the end of the experiment.

        Raises:
            LinkError: The rig is offline, or the experiment was not done in time. It was taken back.
            RigFault: It failed, or nobody knows how it ended.
            Stopped: It was aborted.
            Refused: The service does not allow it. Nothing was performed.
            CampaignError: The service is unreachable for longer than `outage`. An experiment that it has got is performed all the same,
                and the campaign takes up the result when it is started again.
        """
        attempt, self._attempt = self._attempt, None
        if self._stop.is_set() or not self._is_entered:
            raise Stopped(f"{self.name} was stopped, or it is not connected")
        try:
            submission = self._submitted(settings, attempt)
            self._running = submission.id
            return _measurement(self._ended(submission))
        except LinkError as error:
            if attempt is None or error.problem is not None or isinstance(error, _TakenBack):
                raise
            raise _gone(error) from error
        finally:
            self._running = None

    def stop(self) -> None:
        """Abort the running experiment, and stop the rig if it performs it; `perform` raises until the driver is entered again."""
        self._stop.set()
        if (running := self._running) is not None:
            with suppress(FrugalTwinError):  # `perform` reports how that went
                self._taken_back(running)

    def __exit__(self, *failure: object) -> None:
        """Close the connections and pause the campaign at the service. The service leaves the rig at rest."""
        self._is_entered = False
        if self._campaign is not None:
            with suppress(FrugalTwinError), self._other_client(1.0) as client:  # nobody is the worse for not knowing
                client.act(self._campaign[1], "pause")
            self._campaign = None
        self._client.close()

    def _joined(self, attempt: Attempt) -> str:
        """The id of the service's campaign for our trials, new or going on; its trials that our store does not have go into `_begun`."""
        words = attempt.words
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", words["name"]).lstrip("-._")[:55] or "campaign"
        # Of the same name in another store is another campaign: its own id tells them apart.
        found = self._client.start_campaign(
            f"{name}-{digest(attempt.campaign)[:8]}",
            self.name,
            words["goal"],
            words["strategy"],
            words["seed"],
            words["budget"],
            words["stop"],
            mode="client",
        )
        is_ahead = found.n_trials >= attempt.number
        trials = self._client.trials(found.id) if is_ahead else []
        self._begun = {t.trial: t.experiment for t in trials if t.trial >= attempt.number}
        return found.id

    def _submitted(self, settings: Settings, attempt: Attempt | None) -> Submission:
        """The experiment of an attempt; without one, an experiment of no campaign."""
        if attempt is None or self._campaign is None:
            return self._client.submit(self.name, settings)
        if begun := self._begun.pop(attempt.number, None):
            return begun
        key = digest([attempt.campaign, attempt.number, self.name, dict(settings)])
        return self._client.submit(self.name, settings, key=key, campaign=self._campaign[1], trial=attempt.number)

    def _ended(self, submission: Submission) -> Submission:
        """Wait until an experiment has ended, in whatever state."""
        end = time.monotonic() + self.patience
        gone: float | None = None
        while not submission.is_done:
            now = time.monotonic()
            if self._stop.is_set():
                return self._taken_back(submission.id)
            if now >= end:
                why = f" ({submission.waiting_because})" if submission.waiting_because else ""
                return self._given_up(submission, _TakenBack(f"{self.name}: not done in {self.patience:g} s{why}, so it was taken back"))
            submission = self._client.wait(submission.id, min(self.look, end - now))
            if submission.state != "queued":
                gone = None
                continue
            state = self._client.rig(self.name).state
            gone = None if state in ("open", "paused") else gone or now
            if gone is not None and time.monotonic() - gone >= self.outage:
                try:
                    self._check(state)
                except DriverError as error:
                    return self._given_up(submission, error)
        return submission

    def _check(self, state: str) -> None:
        if state == "offline":
            raise _TakenBack(f"the rig {self.name} is offline; start its worker, or ask your instructor")
        if state == "stopped":
            raise RigFault(f"the rig {self.name} was stopped; ask your instructor when it is open again")

    def _given_up(self, submission: Submission, error: DriverError) -> Submission:
        """Abort an experiment and raise the error; return the experiment if it had ended before that."""
        found = self._taken_back(submission.id)
        if found.state == "aborted":
            error.cost = found.cost or Amounts()
            raise error
        return found

    def _taken_back(self, identity: str) -> Submission:
        """The experiment, aborted unless it had ended.

        Raises:
            Stopped: The service cannot be told.
        """
        try:
            with self._other_client(2.0) as client:
                try:
                    return client.abort(identity)
                except Refused:
                    return client.experiment(identity)
        except LinkError as error:
            raise Stopped(f"{self.name}: the service could not be told to take {identity} back; look at the rig ({error})") from error

    def _other_client(self, patience: float) -> Client:
        """A client for another thread or a signal handler; `stop` does not interrupt it."""
        from frugaltwin.client.client import Client

        return Client(self._address, self._token, patience)

    def _rest(self, seconds: float) -> None:
        """Wait between two tries."""
        if self._stop.wait(seconds):
            raise Stopped(f"{self.name}: stopped while {self._client.url} did not answer; what it has got may still be performed")


class _TakenBack(LinkError):
    """The experiment was certainly not performed."""


def _measurement(done: Submission) -> Measurement:
    """The measurement of an experiment.

    Raises:
        DriverError: It failed.
    """
    if done.state == "succeeded" and done.outcomes is not None:
        raw = dict(done.raw or {}) | {"experiment": done.id}
        return Measurement(dict(done.outcomes), done.cost or Amounts(), raw, done.happened or {})
    why = done.error or f"it ended as {done.state}"
    kind: type[DriverError] = Stopped if done.state == "aborted" else RigFault
    error = kind(f"{why}; look at the rig before you go on" if done.state == "unknown" and "look at the rig" not in why else why)
    error.cost = done.cost or (Amounts() if done.started_at is None else done.estimate)
    raise error


def _gone(error: LinkError) -> CampaignError:
    return CampaignError(f"{error} No result is lost: start again when it answers, and the experiment under way is taken up")
