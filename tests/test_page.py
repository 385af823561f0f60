"""The page of the class, in a browser: what a student and an instructor do there, and what it never does."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.routes.page import SOURCES
from tests import forked
from tests.conftest import command
from tests.forms import each

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

NIGHT = 120_000  # ms for what a busy machine may take
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
EVIL = '<img src=x onerror="alert(1)">orange ' + "W" * 40


@dataclass
class Lab:
    """A service as `frugaltwin serve` has it, a browser, and what pages did that they should not."""

    address: str
    token: str
    code: str
    browser: Any
    faults: list[str] = field(default_factory=list)

    def page(self, token: str | None = None, *, width: int = 1280, is_dark: bool = False) -> Any:
        context = self.browser.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if is_dark else "light")
        context.set_default_timeout(NIGHT)
        if token:
            context.add_init_script(f"sessionStorage.setItem('frugaltwin-token', '{token}')")
        page = context.new_page()
        page.on("console", lambda said: self.faults.append(said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda sent: self.faults.extend([sent.url] if not sent.url.startswith((self.address, "blob:")) else []))
        page.on("dialog", lambda dialog: dialog.accept() if dialog.type == "confirm" else self.faults.append(dialog.message))
        return page

    def client(self, token: str | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {token or self.token}"}, timeout=120, trust_env=False)

    def student(self, name: str) -> str:
        with self.client() as nobody:
            answer = nobody.post("/v1/join", json={"code": self.code, "name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def campaign(self, token: str, runs: int = 4) -> str:
        """The id of a campaign that has ended."""
        words = {"name": "reef", "rig": "color-1", "goal": "match-color:coral", "strategy": {"name": "sobol"}, "budget": {"runs": runs}}
        with self.client(token) as student:
            identity = str(student.post("/v1/campaigns", json=words).json()["id"])
            while student.get(f"/v1/campaigns/{identity}?wait=20").json()["state"] != "ended":
                pass
        return identity


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with forked.Process(command("serve", "--port", 0, "--json"), cwd=tmp_path_factory.mktemp("lab"), stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        said = json.loads(service.stdout.readline())
        with playwright.sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield Lab(said["address"], said["token"], said["join_code"], browser)
            browser.close()
        service.terminate()
        service.communicate(timeout=120)


def test_a_student_joins_measures_and_watches_a_campaign_with_the_keyboard_alone(lab: Lab) -> None:
    page = lab.page(width=320)
    page.goto(lab.address)
    page.focus("#code")
    page.keyboard.type(lab.code.upper())
    page.keyboard.press("Tab")
    page.keyboard.type("Ada L.")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Hello, Ada L.")
    assert page.evaluate("localStorage.length") == 0, "the token is kept for the session alone"
    page.goto(f"{lab.address}/#/rigs/color-1")
    page.wait_for_selector("#set-red")
    page.locator("#set-red").select_text()
    page.keyboard.type("0.3")
    page.keyboard.press("Tab")
    assert page.input_value("#set-water") == "3.2", "what is left of 4 mL"
    page.wait_for_selector("text=/Price: .* s, .* USD/")
    page.focus("text=Perform")
    page.keyboard.press("Enter")
    page.wait_for_selector("td .succeeded")
    page.reload()
    page.wait_for_selector("td .succeeded")
    assert page.input_value("#set-red") == "0.3", "what was typed is kept"
    page.goto(f"{lab.address}/#/campaigns/new")
    page.wait_for_selector("#c-name")
    page.fill("#c-name", "reef")
    page.select_option("#c-strategy", "sobol")
    page.fill("#c-runs", "3")
    page.focus("main button.first")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 .ended")
    page.wait_for_function("document.querySelectorAll('.strip li').length === 3")  # it came by the stream, without a reload
    page.focus("main >> text=Draw")
    page.keyboard.press("Enter")
    page.wait_for_selector(".drawn svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.context.close()
    assert lab.faults == []


def test_what_happens_elsewhere_is_seen_without_asking_and_a_lost_service_is_said(lab: Lab) -> None:
    token = lab.student("Grace")
    page = lab.page(token)
    page.goto(f"{lab.address}/#/rigs")
    page.wait_for_selector("text=light-1")
    sent: list[str] = []
    page.wait_for_timeout(500)
    page.on("request", lambda one: sent.append(one.url))
    with lab.client() as instructor:
        instructor.post("/v1/rigs/light-1/pause")
        page.wait_for_selector("section:has-text('light-1') .paused")
        instructor.post("/v1/rigs/light-1/open")
        page.wait_for_selector("section:has-text('light-1') .open")
    assert len(sent) <= 6, "it asks only when it was told that something has happened"
    page.context.set_offline(True)
    page.wait_for_selector(".lost")
    page.context.set_offline(False)
    page.context.close()
    lab.faults[:] = [fault for fault in lab.faults if "ERR_INTERNET_DISCONNECTED" not in fault]
    assert lab.faults == []


VIEWS = ["", "rigs", "rigs/color-1", "campaigns", "campaigns/ID", "campaigns/new", "tasks", "class", "projector"]


@pytest.mark.parametrize(("width", "is_dark", "view"), each([320, 1280], [False, True], VIEWS))
def test_every_view_can_be_read_by_everybody(lab: Lab, width: int, is_dark: bool, view: str, seen: tuple[str, str]) -> None:
    _, identity = seen
    page = lab.page(lab.token, width=width, is_dark=is_dark)
    page.goto(f"{lab.address}/#/{view.replace('ID', identity)}")
    page.wait_for_selector("main h1")
    page.wait_for_function("!document.querySelector('main').innerText.includes('Loading …')")
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert EVIL in page.inner_text("main") or view != "class"
    page.context.close()
    assert lab.faults == []


@pytest.fixture(scope="module")
def seen(lab: Lab) -> tuple[str, str]:
    """The token of a student with an evil name, and the id of a campaign of theirs."""
    token = lab.student(EVIL)
    return token, lab.campaign(token)


def test_a_projector_sees_the_lab_no_names_and_may_nothing(lab: Lab, seen: tuple[str, str]) -> None:
    page = lab.page(lab.token)
    page.goto(f"{lab.address}/#/class")
    page.click("text=Token for a projector")
    token = page.inner_text("code.wrap")
    page.context.close()
    wall = lab.page(token)
    wall.goto(lab.address)
    wall.wait_for_selector("text=Latest bests")
    wall.wait_for_selector("figure .swatch")
    assert "orange" not in wall.inner_text("body")
    assert not wall.query_selector_all("button.stop")
    wall.context.close()
    with lab.client(token) as observer:
        assert observer.post("/v1/rigs/color-1/stop").status_code == 403
        assert observer.post("/v1/experiments", json={"rig": "color-1", "settings": {}}).status_code in (403, 422)
        assert observer.get("/v1/people").status_code == 403
    assert lab.faults == []


def test_its_files_are_few_and_are_kept_until_there_are_others(lab: Lab) -> None:
    with lab.client() as nobody:
        front = nobody.get("/")
        assert front.headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in front.headers["content-security-policy"]
        digest = re.findall(r"/page/(\w+)/main.js", front.text)[0]
        assert nobody.get("/", headers={"If-None-Match": front.headers["etag"]}).status_code == 304
        sent = 0
        for path in (p for p in SOURCES.rglob("*") if p.suffix in {".js", ".css", ".html", ".svg"} and p.name != "index.html"):
            answer = nobody.get(f"/page/{digest}/{path.relative_to(SOURCES).as_posix()}", headers={"Accept-Encoding": "gzip"})
            assert (answer.status_code, answer.headers["cache-control"].split(", ")[-1]) == (200, "immutable"), path
            assert answer.content == path.read_bytes()
            sent += int(answer.headers["content-length"])
        assert sent <= 60_000
        for name in ("nothing.js", "..%2f..%2fpeople.py", "%2e%2e%2f%2e%2e%2fpyproject.toml", "README.md"):
            assert nobody.get(f"/page/{digest}/{name}").status_code == 404, name


def test_its_sources_name_no_other_host_and_every_vendored_file_has_its_license() -> None:
    ours = [p for p in SOURCES.rglob("*.js") if "vendor" not in p.parts]
    for path in ours:
        assert not re.findall(r"https?://(?!\$)", path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")), path
    about = (SOURCES / "vendor" / "README.md").read_text(encoding="utf-8")
    assert {p.name for p in Path(SOURCES / "vendor").glob("*.js")} == set(re.findall(r"`([\w-]+\.js)`", about))
    assert "Permission is hereby granted" in (SOURCES / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
