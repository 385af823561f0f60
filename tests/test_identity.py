"""The words that say who somebody is: tokens and join codes, lost, stolen, guessed and sent twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from api.rate_limit import WRONG_CODES
from api.records.tokens import GOOD_AT_ONCE
from tests.running_service import Running, running

KEY = {"Idempotency-Key": "0123456789abcdef0123456789abcdef"}


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6) as found:
        yield found


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"], answer.text


def made(client: httpx.Client, **words: object) -> tuple[str, str]:
    """A new token: id and words."""
    answer = client.post("/v1/tokens", json={"scopes": ["read"]} | words)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.json()["token"]


def new_code(service: Running, uses: int = 5) -> tuple[str, str]:
    """A new join code: id and words."""
    with service.client(service.admin) as admin:
        found = admin.post("/v1/codes", json={"uses": uses, "budget": {"runs": 3}}).json()
    return found["id"], found["code"]


def uses_left(service: Running, identity: str) -> int:
    with service.client(service.admin) as admin:
        return next(int(code["uses_left"]) for code in admin.get("/v1/codes").json()["items"] if code["id"] == identity)


def test_what_was_made_with_a_revoked_token_is_revoked_with_it(service: Running) -> None:
    """A thief who has a token makes others with it, and with those others."""
    _, words = service.person()
    with service.client(words) as me:
        stolen, stolen_words = made(me)
        _, other = made(me)
        with service.client(stolen_words) as thief:
            _, child = made(thief)
        with service.client(child) as thief:
            _, grandchild = made(thief)
        assert me.delete(f"/v1/tokens/{stolen}").status_code == 204
        for gone in (stolen_words, child, grandchild):
            with service.client(gone) as thief:
                refused(thief.get("/v1/me"), 401, "revoked")
        with service.client(other) as still:
            assert still.get("/v1/me").status_code == 200


def test_an_instructor_revokes_all_of_a_person_s_tokens_at_once_and_gives_another(service: Running) -> None:
    whose, words = service.person()
    with service.client(words) as me, service.client(service.admin) as admin:
        many = [made(me)[1] for _ in range(GOOD_AT_ONCE - 1)]
        refused(me.post("/v1/tokens", json={"scopes": ["read"]}), 409, "revoke one first")
        _, another = made(admin, person=whose)  # they may all be lost
        refused(me.delete("/v1/tokens", params={"person": whose}), 403, "admin")
        refused(admin.delete("/v1/tokens", params={"person": "u_nobody"}), 404, "no person")
        assert admin.delete("/v1/tokens").status_code == 422
        assert admin.delete("/v1/tokens", params={"person": whose}).status_code == 204
        for gone in (words, *many[:2], another):
            with service.client(gone) as nobody:
                refused(nobody.get("/v1/me"), 401, "revoked")
        with service.client(made(admin, person=whose)[1]) as again:
            assert again.get("/v1/me").json()["person"] == whose


def test_who_joins_again_is_no_second_person_with_a_second_budget(service: Running) -> None:
    identity, code = new_code(service)
    with service.client() as nobody:
        first = nobody.post("/v1/join", json={"code": code, "name": "Ada"})
        assert first.status_code == 201
        for name in ("Ada", "ADA", "\uff21da"):
            refused(nobody.post("/v1/join", json={"code": code, "name": name}), 409, "has joined with this code")
        refused(nobody.post("/v1/join", json={"code": code, "name": "Ada"}, headers=KEY), 409, "ask your instructor")
        assert uses_left(service, identity) == 4
        assert nobody.post("/v1/join", json={"code": code, "name": "Ada L."}).status_code == 201
        with service.client(first.json()["token"]) as ada:  # nobody has put her out
            assert ada.get("/v1/me").status_code == 200
        with service.client(service.admin) as admin:
            assert admin.get(f"/v1/people/{first.json()['person']}").json()["code"] == identity
            other = new_code(service)[1]
            assert nobody.post("/v1/join", json={"code": other, "name": "Ada"}).status_code == 201  # of another class


def test_a_lost_answer_to_join_leaves_no_ghost(service: Running) -> None:
    identity, code = new_code(service, uses=1)
    with service.client() as nobody:
        words = {"code": code, "name": "Grace"}
        lost = nobody.post("/v1/join", json=words, headers=KEY).json()
        again = nobody.post("/v1/join", json=words, headers=KEY)  # although the code is used up
        assert again.status_code == 201
        assert again.json()["person"] == lost["person"]
        assert again.json()["token"] != lost["token"]
        with service.client(lost["token"]) as somebody, service.client(again.json()["token"]) as grace:
            refused(somebody.get("/v1/me"), 401, "revoked")
            assert grace.get("/v1/me").json()["budget"]["left"]["runs"] == 3
        refused(nobody.post("/v1/join", json=words, headers={"Idempotency-Key": "f" * 32}), 409, "has joined")
        assert nobody.post("/v1/join", json=words, headers={"Idempotency-Key": "short"}).status_code == 422
        refused(nobody.post("/v1/join", json={"code": code, "name": "Eve"}, headers=KEY), 401, "used up")
    assert uses_left(service, identity) == 0


def test_thirty_wrong_codes_do_not_shut_out_the_right_one(service: Running) -> None:
    _, code = new_code(service)
    with service.client() as nobody:
        answers = [nobody.post("/v1/join", json={"code": "abcd-efgh-jkmn", "name": "Eve"}) for _ in range(WRONG_CODES + 5)]
        assert {answer.status_code for answer in answers[:WRONG_CODES]} == {401}
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert nobody.post("/v1/join", json={"code": code, "name": "Mary"}).status_code == 201
