"""For whoever looks after the service: health, metrics, logs, and the page /docs, which works without a network."""

import importlib.resources
import io
import json
import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import log_redaction
from api.app import create_app
from api.log_redaction import Discreet, hidden
from api.records import rigs
from api.settings import Settings
from tests.running_service import Running, hear, running
from tests.service_database import submit


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6) as found:
        yield found


def sample(text: str, start: str) -> float:
    """The value of the metric whose line starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{start} ")]
    return float(line.rpartition(" ")[2])


def test_health_and_readiness_need_no_token(service: Running) -> None:
    with service.client() as nobody:
        assert nobody.get("/health").json() == {"status": "alive"}
        assert nobody.get("/ready").json() == {"status": "ready", "rigs": {"color-1": "offline"}}


def test_a_service_that_cannot_write_is_alive_and_not_ready(database_url: str) -> None:
    with running(database_url) as service, service.client() as nobody:
        service.database.close()
        assert nobody.get("/health").status_code == 200
        response = nobody.get("/ready")
        assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
        assert response.json()["retryable"]


def test_metrics_count_what_happened_and_name_nobody(database_url: str) -> None:
    with running(database_url) as service:
        whose, token = service.person(name="Rosalind")
        _, observer = service.person("observer", name="Prometheus")
        service.database.write_now(lambda c, now: rigs.register(c, now, "color-2", "color-mixing", {}, False))
        with service.client(token) as student, service.client(observer) as reader, service.client(service.admin) as admin:
            ended, _ = [submit(service.database, whose) for _ in range(2)]
            student.post(f"/v1/experiments/{ended}/abort")
            student.get("/v1/experiments/x_missing")
            student.get("/nowhere")
            student.post("/v1/experiments", content=b"x")
            with student.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as stream:
                lines = stream.iter_lines()
                assert next(lines) == "retry: 1000"
                response = reader.get("/metrics")
            assert student.get("/metrics").status_code == 403
            assert admin.get("/metrics").status_code == 200
        assert httpx.get(f"{service.address}/metrics", trust_env=False).status_code == 401
    text = response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert sample(text, 'frugaltwin_requests_total{method="POST",route="/v1/experiments/{identity}/abort",status="200"}') == 1
    assert sample(text, 'frugaltwin_requests_total{method="GET",route="/v1/experiments/{identity}",status="404"}') == 1
    assert sample(text, 'frugaltwin_requests_total{method="GET",route="none",status="404"}') == 1
    assert sample(text, 'frugaltwin_requests_total{method="POST",route="none",status="415"}') == 1
    assert sample(text, 'frugaltwin_queue_length{rig="color-1"}') == 1
    assert sample(text, 'frugaltwin_queue_length{rig="color-2"}') == 0
    assert sample(text, 'frugaltwin_experiments_ended_total{rig="color-1",end="aborted"}') == 1
    assert sample(text, "frugaltwin_event_streams") == 1
    groups = sample(text, "frugaltwin_write_group_seconds_count")
    assert groups == sample(text, 'frugaltwin_write_group_seconds_bucket{le="+Inf"}') >= 1
    assert sample(text, "frugaltwin_changes_total") >= groups
    assert not re.search(r"Rosalind|Prometheus|ft_[\w-]{16}|u_|t_[0-9a-f]{20}", text)


def test_metrics_are_in_prometheus_format(service: Running) -> None:
    with service.client(service.admin) as admin:
        lines = admin.get("/metrics").text.splitlines()
    named = set()
    for line in lines:
        if match := re.fullmatch(r"# (HELP|TYPE) (frugaltwin_\w+) .+", line):
            named.add(match[2])
            continue
        match = re.fullmatch(r'(frugaltwin_\w+?)(_bucket|_sum|_count)?(\{\w+="[^"\\]*"(,\w+="[^"\\]*")*\})? [-+0-9.e]+', line)
        assert match, line
        assert {match[1], match[1] + (match[2] or "")} & named, line


def test_no_token_or_code_is_in_the_log_of_a_whole_session(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    root = logging.StreamHandler(log)
    root.setFormatter(Discreet())
    names = ("", "frugaltwin", "uvicorn", "uvicorn.access", "uvicorn.error", "sqlalchemy.engine", "httpx", "httpcore")
    logging.getLogger().addHandler(root)
    hear(monkeypatch, *names)
    try:
        with running(database_url) as service, service.client(service.admin) as admin, service.client() as nobody:
            code = admin.post("/v1/codes", json={"uses": 3, "note": "n"}, headers={"Idempotency-Key": "k"}).json()["code"]
            token = nobody.post("/v1/join", json={"code": code, "name": "Ada"}).json()["token"]
            secrets = [service.admin, code, token]
            with service.client(token) as student:
                secrets.append(student.post("/v1/tokens", json={"scopes": ["read"]}, headers={"Idempotency-Key": "k"}).json()["token"])
                student.get("/v1/me", params={"token": token, "code": code})  # nobody should, and somebody will
                student.get(f"/v1/experiments/{token}")
                student.post("/v1/experiments", json={"rig": code, "settings": {token[:60]: 1.0}})
                nobody.post("/v1/join", json={"code": code, "name": token + "\n"})
                wrong = "ft_" + "x" * 43
                assert (
                    httpx.get(f"{service.address}/v1/me", headers={"Authorization": f"Bearer {wrong}"}, trust_env=False).status_code == 401
                )
                service.service._callers.clear()
                monkeypatch.setattr(service.service, "caller", None)  # a bug, with a traceback
                assert student.get("/v1/me").status_code == 500
            secrets.append(wrong)
    finally:
        logging.getLogger().removeHandler(root)
    written = log.getvalue()
    assert "Traceback" in written
    assert "GET /v1/me?token=(hidden)&code=(hidden)" in written
    assert "sqlalchemy" in written or "INSERT INTO token" in written
    assert not [secret for secret in secrets if secret in written]


def test_tokens_are_hidden_in_whatever_is_said() -> None:
    token = "ft_Ab-_" + "9" * 39
    assert hidden(f"Bearer {token}, left_over code_of_conduct") == "Bearer (hidden), left_over code_of_conduct"
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s said %r", (token, {"code": "abcd-efgh-jkmn"}), None)
    assert Discreet().format(record) == "(hidden) said {'code': '(hidden)'}"
    formatters = log_redaction.settings()["formatters"]
    assert {formatters[h["formatter"]]["()"] for h in log_redaction.settings()["handlers"].values()} == {"api.log_redaction.Discreet"}


def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def test_every_operation_says_what_it_does_and_how_it_fails() -> None:
    found = document()
    assert found["info"]["title"] == "Frugal Twin"
    assert found["servers"] == [{"url": "/", "description": "here"}]
    tags = {tag["name"] for tag in found["tags"]}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert set(operation["tags"]) <= tags, where
            errors = {s: r for s, r in operation["responses"].items() if s >= "400"}
            for status, response in errors.items():
                told = found["components"]["responses"][response["$ref"].rpartition("/")[2]]
                schema = told["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (where, status)
            if "security" in operation:
                assert {"401", "422", "429"} <= set(errors), where
            else:
                assert path in ("/v1/join", "/health", "/ready"), where
    text = json.dumps(found)
    assert "HTTPValidationError" not in text
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in found["components"]["schemas"]
    assert len({o["operationId"] for p in found["paths"].values() for o in p.values()}) == sum(map(len, found["paths"].values()))


def test_the_page_takes_nothing_from_elsewhere_and_has_its_licenses(service: Running) -> None:
    with service.client() as nobody:
        page = nobody.get("/docs")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        for name in names:
            assert name == "data:," or nobody.get(name).status_code == 200, name
        assert len(names) >= 4
        for name in ("nothing.js", "..%2fpeople.py", "%2e%2e%2f%2e%2e%2fpyproject.toml", "README.md"):
            response = nobody.get(f"/docs/{name}")
            assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
        assert nobody.get("/openapi.json").json()["info"]["title"] == "Frugal Twin"
    static = importlib.resources.files("api") / "static"
    for name in ("swagger-ui.LICENSE", "swagger-ui.NOTICE", "swagger-ui-bundle.LICENSE.txt"):
        assert (static / name).read_text(encoding="utf-8")


class Snitch(BaseHTTPRequestHandler):
    """A proxy that writes down what is asked of it, and gives nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(502)

    do_CONNECT = do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page_and_asks_nobody_else(sqlite_url: str, tmp_path: Path) -> None:
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Snitch)
    proxy.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--enable-logging=stderr",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
        f"--proxy-server=127.0.0.1:{proxy.server_port}", "--proxy-bypass-list=127.0.0.1", "--virtual-time-budget=10000", "--dump-dom",
    ]  # fmt: skip
    try:
        with running(sqlite_url) as service:
            words = [str(CHROMIUM), *flags, f"{service.address}/docs"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
    assert "/v1/experiments" in done.stdout, done.stderr[-2000:]
    assert "Submit settings to a rig" in done.stdout
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    assert not [path for path in proxy.asked if "google" not in path]  # type: ignore[attr-defined]  # which the browser asks by itself
