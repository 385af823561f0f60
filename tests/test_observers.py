"""Who may look: events of rigs reach everybody, and an observer sees the class at work, by ids and without names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from api.records import fair_queue, rigs
from frugaltwin import Client
from frugaltwin.errors import Refused
from tests.running_service import Running, running
from tests.service_database import SETTINGS

REAL = "mixer-1"
NAME = "Ada Lovelace"


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url()) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, REAL, "color-mixing", {}, True))
        yield found


def of_rig(client: httpx.Client, rig: str) -> list[tuple[str, str]]:
    """What happened to a rig itself, as somebody hears it."""
    items = client.get("/v1/events", params={"rig": rig, "limit": 1000}).json()["items"]
    return [(item["kind"], str(item)) for item in items if item["kind"].startswith("rig.")]


def test_everybody_hears_what_happens_to_a_rig_and_nobody_who_it_was(service: Running) -> None:
    whose, token = service.person(name=NAME)
    service.database.write_now(lambda c, now: rigs.approve(c, now, whose, REAL, "u"))
    with service.client(token) as ada, service.client(service.person()[1]) as other, service.client(service.admin) as admin:
        for word in ("pause", "open"):
            assert admin.post(f"/v1/rigs/{REAL}/{word}").status_code == 200
        ada.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS})
        (row,) = service.database.write_now(lambda c, now: fair_queue.lease(c, now, REAL, "w", 1))
        service.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
        service.database.write_now(lambda c, now: fair_queue.expire(c, now + 3600))  # its worker is lost
        assert admin.post(f"/v1/rigs/{REAL}/open").status_code == 200
        for somebody in (ada, other, admin):
            heard = of_rig(somebody, REAL)
            assert [kind for kind, _ in heard] == ["rig.paused", "rig.open", "rig.stopped", "rig.open"]
            assert "somebody has to look at the rig" in heard[2][1]
            assert not [words for _, words in heard if NAME in words or whose in words or row.id in words]


def test_an_observer_sees_campaigns_rigs_and_the_queue_without_names_and_touches_nothing(service: Running) -> None:
    whose, token = service.person(name=NAME)
    _, watching = service.person("observer", "Screen")
    with service.client(token) as ada, service.client(watching) as screen, service.client(service.person()[1]) as other:
        words = {"name": "reef", "rig": "color-1", "goal": "match-color:coral", "mode": "client"}
        campaign = ada.post("/v1/campaigns", json=words).json()["id"]
        order = {"rig": "color-1", "settings": SETTINGS, "campaign": campaign}
        ids = [ada.post("/v1/experiments", json=order).json()["id"] for _ in range(2)]
        service.database.write_now(lambda c, now: fair_queue.lease(c, now, "color-1", "w", 1, twins_begin=True))
        addresses = [
            "/v1/campaigns", f"/v1/campaigns/{campaign}", f"/v1/campaigns/{campaign}/trials", f"/v1/campaigns/{campaign}/export",
            f"/v1/experiments/{ids[1]}", "/v1/experiments?state=queued", "/v1/rigs/color-1", "/v1/events?limit=1000",
        ]  # fmt: skip
        answers = {address: screen.get(address) for address in addresses}
        assert {answer.status_code for answer in answers.values()} == {200}
        assert not [address for address, answer in answers.items() if NAME in answer.text]
        assert campaign in [one["id"] for one in answers["/v1/campaigns"].json()["items"]]
        assert answers["/v1/experiments?state=queued"].json()["items"][0]["id"] == ids[1]
        assert answers["/v1/rigs/color-1"].json()["running"][0]["owner"] == whose
        assert ids[0] in answers["/v1/events?limit=1000"].text
        for refused in (
            screen.post(f"/v1/experiments/{ids[1]}/abort"),
            screen.post(f"/v1/campaigns/{campaign}/actions", json={"action": "stop"}),
            screen.post(f"/v1/campaigns/{campaign}/entries", json={"kind": "retraction", "number": 1, "why": ""}),
            screen.get("/v1/people"),
        ):
            assert refused.status_code == 403, refused.text
        assert {other.get(address).status_code for address in addresses[1:5]} == {404}  # another student sees nothing of it
        assert other.get("/v1/rigs/color-1").json()["running"][0]["owner"] == "another user"


@pytest.mark.parametrize("is_shown", [False, True])
def test_observers_are_told_names_only_where_the_class_shows_them(fresh_url: Callable[[], str], is_shown: bool) -> None:
    with running(fresh_url(), shows_names=is_shown) as service:
        whose, token = service.person(name=NAME)
        with Client(service.address, service.admin) as curie, Client(service.address, token) as ada:
            assert {one.person: one.name for one in curie.names()}[whose] == NAME
            with pytest.raises(Refused, match="everybody else sees ids"):
                ada.names()
        with Client(service.address, service.person("observer", "Screen")[1]) as screen:
            if is_shown:
                assert {one.person: one.name for one in screen.names()}[whose] == NAME
            else:
                with pytest.raises(Refused):
                    screen.names()
            with pytest.raises(Refused):
                screen.people()  # nor budgets
