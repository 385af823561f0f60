"""What stands in deploy/ and in docs/classroom.md is true, as far as that can be seen without a Docker engine."""

import fnmatch
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

HOME = Path(__file__).parents[1]
DEPLOY = HOME / "deploy"
PAGE = (HOME / "docs" / "classroom.md").read_text()
PACKAGES = {"frugaltwin", "simulator", "optimizers", "hardware", "api"}


def steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, lines that go on put together."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def told(word: str) -> list[str]:
    """What all instructions of one kind say."""
    return [rest for instruction, rest in steps() if instruction == word]


def services() -> dict[str, dict[str, Any]]:
    """What compose.yaml starts."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def unit() -> dict[str, list[str]]:
    """The settings of the systemd unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "frugaltwin.service").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every `frugaltwin …` that somebody will type or start, with where it stands."""
    for word, rest in steps():
        if word == "CMD":
            yield "Dockerfile", json.loads(rest)
    for name, service in services().items():
        if "frugaltwin" in service["image"]:
            yield f"compose.yaml {name}", service["command"]
    yield "frugaltwin.service", shlex.split(unit()["ExecStart"][0].replace("$OPTIONS", ""))[1:]
    for line in (DEPLOY / "frugaltwin.service").read_text().splitlines():
        if match := re.match(r'# OPTIONS="(.*?)"', line):
            yield "frugaltwin.service OPTIONS", ["serve", *shlex.split(match[1])]
    blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
    for line in blocks.splitlines() + re.findall(r"`([^`\n]+)`", PAGE):
        # Not the user of `-u frugaltwin`, nor the folder of that name.
        typed = r"(?<!-\w )\bfrugaltwin (?=[a-z])(?!frugaltwin)([^'#>]*)|docker compose run --rm service ([^#]*)"
        for match in re.finditer(typed, line):
            yield f"classroom.md: {line}", shlex.split((match[1] or match[2]).replace("…", ""))


def test_every_command_and_flag_that_is_started_exists() -> None:
    import typer.main

    from api.workers.worker import RigWords
    from frugaltwin.cli.main import app

    found = list(command_lines())
    assert len(found) > 12
    for where, words in found:
        command: Any = typer.main.get_group(app)
        rest = list(words)
        while hasattr(command, "commands"):
            assert rest, f"{where}: {words} names no command"
            assert rest[0] in command.commands, f"{where}: there is no command {rest[0]}"
            command = command.commands[rest.pop(0)]
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        for flag in (word.partition("=")[0] for word in rest if word.startswith("-")):
            assert flag in known, f"{where}: {command.name} has no {flag}"
        for flag, value in itertools.pairwise(rest):
            if flag in ("--rig", "--real") and command.name in ("serve", "worker"):
                assert RigWords.parse(value).is_real == ("/dev/" in value), where


def test_the_image_gets_all_packages_and_nothing_else_of_the_folder() -> None:
    rules = [line for line in (HOME / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for rest in told("COPY") if not rest.startswith("--from=") for source in rest.split()[:-1]}
    assert copied == let_in
    assert {name for name in copied if (HOME / name).is_dir()} == PACKAGES
    assert all((HOME / name).exists() for name in copied)
    for secret in ("deploy/.env", "frugaltwin-service.db", ".git"):
        assert secret.split("/")[0] not in let_in
    for secret in ("api/.env", "hardware/mine.db", "hardware/mine.db-wal"):
        assert any(fnmatch.fnmatch(secret, rule) for rule in rules[1:] if not rule.startswith("!")), secret
    for needed in ("readme", "license-files"):  # of pyproject.toml: without them the wheel does not build
        (line,) = re.findall(rf"^{needed} = .*", (HOME / "pyproject.toml").read_text(), re.M)
        assert set(re.findall(r'"(.*?)"', line)) <= copied


def test_the_image_is_slim_pinned_and_not_root() -> None:
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+( AS build)?", base) for base in told("FROM"))
    versions = {base.split()[0] for base in told("FROM")}
    assert len(versions) == 1  # a virtual environment moves only between equal interpreters
    last = max(k for k, (word, _) in enumerate(steps()) if word == "FROM")
    (user,) = [rest for word, rest in steps()[last:] if word == "USER"]
    assert user.isdigit()  # so that an orchestrator can see that it is not root
    assert int(user) > 0
    assert any(f"--uid {user} " in rest for rest in told("RUN"))
    assert not told("ADD")
    (folder,) = told("WORKDIR")[1:]
    assert told("VOLUME") == [folder]
    assert any(f"--home-dir {folder} " in rest for rest in told("RUN"))


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False), (None, False)])
def test_the_health_check_believes_only_a_good_answer(status: int | None, is_healthy: bool) -> None:
    (rest,) = told("HEALTHCHECK")
    program, *arguments = json.loads(rest[rest.index("[") :])
    assert program == "python"
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (Answer,), {"status": status}))
    port = server.server_port
    assert "127.0.0.1:8000/" in arguments[-1]
    arguments[-1] = arguments[-1].replace(":8000/", f":{port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    if status is None:
        server.server_close()
    else:
        thread.start()
    try:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, timeout=120, check=False)
    finally:
        if status is not None:
            server.shutdown()
            server.server_close()
            thread.join()
    assert (done.returncode == 0) == is_healthy


def test_the_service_has_the_path_that_the_health_check_asks(tmp_path: Path) -> None:
    from api.app import create_app
    from api.settings import Settings

    paths = create_app(Settings(url=f"sqlite:///{tmp_path / 'service.db'}")).openapi()["paths"]
    (rest,) = told("HEALTHCHECK")
    (path,) = re.findall(r"127\.0\.0\.1:8000(/\w+)'", rest)
    assert "get" in paths[path]


def test_compose_starts_things_in_order_and_shows_only_the_proxy() -> None:
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in whole["services"].items():
        assert re.fullmatch(r"[a-z]+:(\d+\.\d+(\.\d+)?(-\w+)?|local)", service["image"]), name
        assert ("ports" in service) == (name == "proxy"), name
        assert not service.get("privileged"), name
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}, name
            is_ours = "build" in whole["services"][other]
            assert is_ours or "healthcheck" in whole["services"][other], f"{name} waits for {other}, which never says that it is healthy"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in whole["volumes"], volume
        if service["image"] == "frugaltwin:local":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert any(volume.endswith(f":{told('VOLUME')[0]}") for volume in service["volumes"]), name
    built = whole["services"]["service"]["build"]
    assert (DEPLOY / built["context"]).resolve() == HOME
    assert (HOME / built["dockerfile"]).is_file()
    assert set(built["args"]) <= {rest.partition("=")[0] for rest in told("ARG")}
    assert whole["services"]["service"]["environment"].keys() <= {"PGPASSWORD", "FORWARDED_ALLOW_IPS"}


def test_a_container_without_compose_is_started_as_compose_would() -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
    first, lasting = (shlex.split(line, comments=True) for line in re.findall(r"docker run .*", blocks))
    (folder,), (port,) = told("VOLUME"), told("EXPOSE")
    service = services()["service"]
    for words in (first, lasting):
        assert {"--init", f"frugaltwin:{folder}"} <= set(words)
    whole = " ".join(lasting)
    assert f" -p 127.0.0.1:{port}:{port} " in whole
    for flag in (
        "--read-only",
        f"--tmpfs {service['tmpfs'][0]}",
        f"--cap-drop {service['cap_drop'][0]}",
        f"--restart {service['restart']}",
    ):
        assert f" {flag} " in whole, flag


def test_no_secret_is_written_down() -> None:
    n = 0
    for name, service in services().items():
        for key, value in service["environment"].items():
            if re.search("PASSWORD|TOKEN", key):
                n += 1
                assert re.fullmatch(r"\$\{\w+:(-|\?.*)\}", value), f"{name}: {key}"
    assert n == 3
    for path in DEPLOY.iterdir():
        if path.name == ".env":
            continue
        assert not re.search(r"ft_[\w-]{20,}|://\w+:[^@/$\s]+@", path.read_text()), path.name
    ignored = (HOME / ".gitignore").read_text().splitlines()
    assert ".env" in ignored


def test_the_service_of_compose_talks_to_its_database() -> None:
    database = services()["database"]
    words = services()["service"]["command"]
    url = make_url(words[words.index("--database") + 1])
    assert url.drivername == "postgresql+psycopg"
    assert services()[str(url.host)] == database
    assert url.password is None  # from PGPASSWORD: command lines can be read by everybody on a machine
    assert url.username == database["environment"]["POSTGRES_USER"]
    assert url.database == database["environment"]["POSTGRES_DB"]
    assert database["environment"]["POSTGRES_PASSWORD"] == services()["service"]["environment"]["PGPASSWORD"]


def test_the_proxy_leads_to_the_port_that_the_service_listens_on() -> None:
    (port,) = told("EXPOSE")
    assert services()["proxy"]["environment"]["SERVICE"] == f"service:{port}"
    words = shlex.split(unit()["ExecStart"][0])
    address = f"{words[words.index('--host') + 1]}:{words[words.index('--port') + 1]}"
    assert f"{{$SERVICE:{address}}}" in (DEPLOY / "Caddyfile").read_text()
    assert f"proxy_pass http://{address};" in PAGE


def test_what_stands_around_the_service_is_more_patient_than_it_is() -> None:
    from api.request_limits import BODY
    from api.routes.waiting import LONGEST_WAIT
    from api.server import GRACE
    from api.workers.driver_process import PATIENCE

    (minutes,) = re.findall(r"proxy_read_timeout (\d+)m;", PAGE)
    assert 60 * int(minutes) > LONGEST_WAIT
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", PAGE)
    assert int(megabytes) * 2**20 > BODY
    (by_hand,) = re.findall(r"--stop-timeout (\d+)", PAGE)
    in_compose = [s["stop_grace_period"].rstrip("s") for s in services().values() if "init" in s]
    for seconds in (unit()["TimeoutStopSec"][0], by_hand, *in_compose):
        assert int(seconds) > PATIENCE + GRACE


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed: the unit was not verified")
    words = (DEPLOY / "frugaltwin.service").read_text()
    program = shlex.split(unit()["ExecStart"][0])[0]
    copy = tmp_path / "frugaltwin.service"
    copy.write_text(words.replace(program, sys.executable))
    done = subprocess.run([tool, "verify", "--man=no", copy], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert str(copy) not in done.stderr
    copy.write_text(words.replace("KillMode=mixed", "KillMode=gentle").replace(program, sys.executable))
    refused = subprocess.run([tool, "verify", "--man=no", copy], capture_output=True, text=True, timeout=120, check=False)
    assert "gentle" in refused.stderr  # it does read the file


def test_every_file_of_the_folder_stands_in_the_page() -> None:
    for path in DEPLOY.iterdir():
        if path.name != ".env":
            assert f"deploy/{path.name}" in PAGE, path.name
