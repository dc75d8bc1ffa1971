"""The page of the service, in a browser."""

import json
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright

import vwlite.http
import vwlite.pictures
from tests.support.http_server import PATIENCE, HttpServer, serving, wait_for
from vwlite.http.operations import ASSETS

CHROMIUM = "/usr/bin/chromium"
KEY = "a key of this server"
MARKUP = "<img src=x onerror=alert(1)>"
SIZES = {"narrow": (390, 844), "wide": (1280, 800)}
ACTIONS = ("sports", "music", MARKUP)
MODELS = {
    "clicks": "--loss_function logistic --link logistic",
    "prices": "--bayes_linear",
    "ratings": "--bayes_linear --random_effect user",
    "species": "--oaa 3 --loss_function logistic --probabilities",
    "adverts": "--thompson --bayes_linear",
}

pytestmark = pytest.mark.skipif(
    not os.path.exists(CHROMIUM) and "CI" not in os.environ, reason=f"there is no {CHROMIUM}"
)
expect.set_options(timeout=PATIENCE * 1000)


def clicks(draw: random.Random) -> dict[str, Any]:
    """A labelled example of two classes."""
    x = draw.random()
    features = {"price": x, "city": draw.choice(["Bonn", "Ulm"])}
    return {"features": features, "label": draw.random() < 1 / (1 + math.exp(6 * x - 3))}


def numbers(draw: random.Random) -> dict[str, Any]:
    """A labelled example of a regression, with the name of a user."""
    x, user = draw.random(), draw.randrange(5)
    return {"features": {"rooms": x, "user": f"u{user}", MARKUP: 1}, "label": 3 * x + user + draw.gauss(0, 0.1)}


def classes(draw: random.Random) -> dict[str, Any]:
    """A labelled example of three classes."""
    label = draw.randint(1, 3)
    return {"features": {"petal": label + draw.gauss(0, 0.3), MARKUP.replace(" ", "/"): True}, "label": label}


def teach(server: HttpServer, name: str, make: Callable[[random.Random], dict[str, Any]], count: int) -> None:
    """Has a model learn, in batches."""
    draw = random.Random(server.examples(name))
    for _ in range(0, count, 50):
        server.batch(name, "learn", [make(draw) for _ in range(50)])


def decide(server: HttpServer, count: int) -> None:
    """Has the bandit decide, and learn the costs of all decisions but the first."""
    row = {"context": {"user": "ann"}, "actions": {action: {} for action in ACTIONS}}
    answers = server.batch("adverts", "predict", [row] * count)[:-1]
    costs = [{"id": each["id"], "cost": -float(each["action"] == "music")} for each in answers]
    server.batch("adverts", "label", costs[1:])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server with a model of each kind, all of which have learned."""
    words = [word for name, flags in MODELS.items() for word in ("--model", f"{name}={flags}")]
    with serving(tmp_path_factory.mktemp("server"), *words) as found:
        teach(found, "clicks", clicks, 500)
        for name in ("prices", "ratings"):
            teach(found, name, numbers, 200)
        teach(found, "species", classes, 200)
        for _ in range(4):
            decide(found, 25)
        yield found


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[HttpServer]:
    """A server that wants a key, with the model `prices`."""
    (tmp_path / "token").write_text(KEY)
    (tmp_path / "token").chmod(0o600)
    with serving(tmp_path, "--token_file", "token", "--model", "prices=--bayes_linear", token=KEY) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Watched:
    """A page, and what goes wrong in it.

    Attributes:
        requests: The URLs that were requested.
        errors: Of scripts, of the console, and of the Content-Security-Policy.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self.dismiss)
        self.page.on("console", self.note)
        self.page.expose_function("reportViolation", lambda directive: self.errors.append(directive))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', event => reportViolation(event.violatedDirective))"
        )

    def note(self, message: ConsoleMessage) -> None:
        """Notes an error or a warning of the console."""
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def dismiss(self, dialog: Dialog) -> None:
        """Notes a dialog, and closes it."""
        self.errors.append(dialog.message)
        dialog.dismiss()

    def require_clean(self, base: str) -> None:
        """Asserts that all is from the server, and without an error."""
        assert self.errors == []
        assert [url for url in self.requests if not url.startswith((f"{base}/", "data:"))] == []


@pytest.fixture(params=SIZES)
def watched(browser: Browser, server: HttpServer, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """The page of the server, in two sizes; nothing may go wrong in it."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    found = Watched(context)
    yield found
    found.require_clean(server.url)
    context.close()


def open_model(page: Page, server: HttpServer, name: str) -> None:
    """Opens the page at a model, and waits until its weights are shown."""
    page.goto(f"{server.url}/#model={name}")
    expect(page.locator("#name")).to_have_text(name)
    expect(page.locator("#weights svg")).to_be_visible()
    expect(page.locator("#loss svg")).to_be_visible()
    expect(page.locator("#state")).to_have_text("live")


def words_of(page: Page, section: str) -> str:
    """What a chart says in words."""
    return page.locator(f"#{section} svg desc").text_content() or ""


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace("−", "-").replace(",", ""))


def requires_no_scrolling_sideways(page: Page) -> None:
    """Asserts that nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(f"{wide}.map(e => e.outerHTML)") == []


def test_models_are_listed_with_their_figures(watched: Watched, server: HttpServer) -> None:
    watched.page.goto(server.url)
    items = watched.page.locator("#models li")
    expect(items).to_have_count(len(MODELS))
    cards = {card["name"]: card for card in server.get("/v1/models")["models"]}
    assert sorted(cards) == sorted(MODELS)
    for item, name in zip(items.all(), sorted(MODELS), strict=True):
        text = item.inner_text().replace("−", "-")
        assert text.startswith(name)
        assert cards[name]["kind"] in text
        assert f"{cards[name]['examples']} examples" in text
        loss = float(re.search(r"loss (\S+)", text)[1])  # type: ignore[index]
        assert loss == pytest.approx(cards[name]["loss"], rel=5e-3)
        assert "0/s" in text


def test_first_model_is_shown_unless_one_is_chosen(watched: Watched, server: HttpServer) -> None:
    watched.page.goto(server.url)
    expect(watched.page.locator("#name")).to_have_text(min(MODELS))
    expect(watched.page.locator("#models [aria-current]")).to_contain_text(min(MODELS))
    expect(watched.page.locator("#loss svg")).to_be_visible()
    expect(watched.page.locator("#weights svg")).to_be_visible()


@pytest.mark.parametrize("name", MODELS)
def test_each_kind_of_model_is_shown(watched: Watched, server: HttpServer, name: str) -> None:
    page = watched.page
    open_model(page, server, name)
    kind = server.get(f"/v1/models/{name}")["kind"]
    shown = {section.get_attribute("id") for section in page.locator("section").all() if section.is_visible()}
    expected = {"loss", "weights"}
    expected |= {"actions"} if kind == "bandit" else {"metric", "metrics"}
    expected |= {"calibration"} if kind == "binary" else set()
    assert shown == expected
    for chart in page.locator("svg").all():
        if chart.is_visible():
            expect(chart).to_have_role("img")
            expect(chart).to_have_accessible_name(re.compile(r"\w+ \w+"))
            expect(chart).to_have_accessible_description(re.compile(r"\d"))
    metrics = server.get(f"/v1/models/{name}/metrics")["metrics"]
    rows = dict(row.inner_text().split("\t") for row in page.locator("#metrics tbody tr").all())
    assert {key: float(value) for key, value in rows.items()} == pytest.approx(metrics, rel=1e-3)
    for details in page.locator("details").all():
        if details.is_visible():
            details.locator("summary").click()
            expect(details.locator("table tbody tr").first).to_be_visible()
    requires_no_scrolling_sideways(page)


def test_curves_grow_as_the_model_learns(watched: Watched, server: HttpServer) -> None:
    page = watched.page
    open_model(page, server, "clicks")
    count = server.examples("clicks")
    curve = page.locator("#loss polyline").last
    expect(page.locator("#loss svg title").first).to_have_text(f"Loss over {count} examples")
    points, picture = curve.get_attribute("points"), page.screenshot(full_page=True)
    teach(server, "clicks", clicks, 100)
    expect(page.locator("#loss svg title").first).to_have_text(f"Loss over {count + 100} examples")
    expect(page.locator("#figures dd").first).to_have_text(str(count + 100))
    expect(page.locator("#models [aria-current] .numbers")).to_contain_text(f"{count + 100} examples")
    assert len((curve.get_attribute("points") or "").split()) > len((points or "").split())
    assert page.screenshot(full_page=True) != picture
    expect(page.locator("#models [aria-current] .numbers")).not_to_contain_text(" 0/s")  # the rate


def test_curve_in_words_is_that_of_the_service(watched: Watched, server: HttpServer) -> None:
    open_model(watched.page, server, "prices")
    figures = server.get("/v1/models/prices/metrics")
    found = re.search(r"After (\S+) examples .* that of all is (\S+);", words_of(watched.page, "loss"))
    assert found is not None
    assert float(found[1]) == figures["curve"][-1]["weight"]
    assert float(found[2]) == pytest.approx(server.get("/v1/models/prices")["loss"], rel=1e-3)
    found = re.search(r"that of all is (\S+);", words_of(watched.page, "metric"))
    assert found is not None
    assert float(found[1]) == pytest.approx(figures["metrics"]["MAE"], rel=1e-3)


def test_curve_may_be_over_the_logarithm_of_examples(watched: Watched, server: HttpServer) -> None:
    open_model(watched.page, server, "prices")
    curve = watched.page.locator("#loss polyline").last
    before = curve.get_attribute("points")
    watched.page.get_by_label("logarithm of examples").check()
    expect(curve).not_to_have_attribute("points", before or "")
    linear = curve.get_attribute("points")
    watched.page.get_by_label("logarithm of loss").check()
    expect(curve).not_to_have_attribute("points", linear or "")


def test_weights_have_their_deviations_and_entities(watched: Watched, server: HttpServer) -> None:
    open_model(watched.page, server, "ratings")
    weights = server.get("/v1/models/ratings/weights?top=20")["weights"]
    watched.page.locator("#weights summary").click()
    rows = [row.inner_text().split("\t") for row in watched.page.locator("#weights tbody tr").all()]
    assert len(rows) == len(weights)
    for (name, mean, deviation), row in zip(rows, weights, strict=True):
        assert name == (f"user {row['entity']}: {row['feature']}" if "entity" in row else row["feature"])
        assert number(mean) == pytest.approx(row["mean"], rel=1e-3)
        assert number(deviation) == pytest.approx(row["sd"], rel=1e-3)
    assert {row["entity"] for row in weights if "entity" in row} == {f"u{i}" for i in range(5)}
    assert watched.page.locator("#weights svg .interval").count() == len(weights)
    expect(watched.page.locator("#figures")).to_contain_text("entities")
    assert server.get("/v1/models/ratings")["entities"] == 5


def test_regret_is_estimated_from_known_costs(watched: Watched, server: HttpServer) -> None:
    open_model(watched.page, server, "adverts")
    actions = {each["action"]: each for each in server.get("/v1/models/adverts/metrics")["actions"]}
    assert actions["music"]["mean_cost"] == -1.0
    known = [each for each in actions.values() if each["costs"]]
    mean = sum(each["costs"] * each["mean_cost"] for each in known) / sum(each["costs"] for each in known)
    rows = [row.inner_text().split("\t") for row in watched.page.locator("#actions tbody tr").all()]
    assert {row[0]: (int(row[1]), int(row[2])) for row in rows} == {
        name: (each["decisions"], each["costs"]) for name, each in actions.items()
    }
    if sum(each["costs"] >= 10 for each in known) >= 2:
        text = watched.page.locator("#regret").inner_text()
        assert float(re.findall(r"[\d.]+", text)[0]) == pytest.approx(mean + 1.0, rel=1e-3)
    expect(watched.page.locator("#regret-words")).to_contain_text("estimate")


@pytest.mark.parametrize("name", ["prices", "species", "adverts"])
def test_names_with_markup_are_shown_as_text(watched: Watched, server: HttpServer, name: str) -> None:
    page = watched.page
    open_model(page, server, name)
    page.locator("#weights summary").click()
    expect(page.get_by_role("table").filter(has_text="<img").first).to_be_visible()
    assert page.locator("img").count() == 0
    if name == "adverts":
        expect(page.locator("#actions tbody")).to_contain_text(MARKUP)


def test_keyboard_opens_a_model(watched: Watched, server: HttpServer) -> None:
    page = watched.page
    open_model(page, server, "clicks")
    link = page.locator("#models a").filter(has_text="species")
    page.locator("body").focus()
    for _ in range(3 + len(MODELS)):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline  # focus is visible
        if link.evaluate("link => link === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_have_text("species")
    expect(link).to_have_attribute("aria-current", "true")
    expect(page.locator("#models [aria-current]")).to_have_count(1)
    expect(page).to_have_title("species – vwlite")


def test_skip_link_leads_to_the_model_that_is_shown(watched: Watched, server: HttpServer) -> None:
    open_model(watched.page, server, "species")
    link = watched.page.locator(".skip")
    link.focus()
    watched.page.keyboard.press("Enter")
    expect(watched.page.locator("main")).to_be_focused()
    expect(watched.page.locator("#name")).to_have_text("species")


def test_busy_model_is_asked_for_twice_a_second_at_most(watched: Watched, server: HttpServer) -> None:
    page = watched.page
    open_model(page, server, "prices")
    watched.requests.clear()
    began = time.monotonic()
    for i in range(300):
        server.ask("POST", "/v1/models/prices:learn", {"features": {"rooms": i}, "label": i})
    expect(page.locator("#figures dd").first).to_have_text(f"{server.examples('prices'):,}")
    seconds = time.monotonic() - began
    assert 1 <= sum(url.endswith("/metrics") for url in watched.requests) <= 2 + 2 * seconds


def test_models_come_and_go(watched: Watched, server: HttpServer) -> None:
    page = watched.page
    open_model(page, server, "clicks")
    assert server.ask("PUT", "/v1/models/another", {"kind": "regression"})[0] == 201
    link = page.locator("#models a").filter(has_text="another")
    link.click()
    expect(page.locator("#name")).to_have_text("another")
    expect(page.locator("section:visible")).to_have_count(0)  # nothing is learned yet
    assert server.ask("DELETE", "/v1/models/another")[0] == 204
    expect(link).to_have_count(0)
    expect(page.locator("#problem")).to_have_text("There is no model named another.")
    watched.errors = [each for each in watched.errors if "404" not in each]


def test_hidden_tab_neither_listens_nor_asks(watched: Watched, server: HttpServer) -> None:
    page = watched.page

    def is_alone() -> bool:
        page.wait_for_timeout(0)  # lets the browser's events through
        return "\nvwlite_listeners 0.0\n" in server.ask("GET", "/metrics")[1].decode()

    def set_hidden(hidden: bool) -> None:
        page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, configurable: true}})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    open_model(page, server, "clicks")
    set_hidden(True)
    expect(page.locator("#state")).to_have_text("paused")
    wait_for(is_alone)
    page.wait_for_load_state("networkidle")
    count = len(watched.requests)
    teach(server, "clicks", clicks, 50)
    assert len(watched.requests) == count
    set_hidden(False)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#figures dd").first).to_have_text(str(server.examples("clicks")))


def test_page_learns_of_a_restart(browser: Browser, tmp_path: Path) -> None:
    words = ["--dir", "models", "--model", "prices=--bayes_linear"]
    page = browser.new_page()
    with serving(tmp_path, *words) as server:
        teach(server, "prices", numbers, 50)
        open_model(page, server, "prices")
        port = server.port
    expect(page.locator("#state")).to_have_text("connection lost, trying again")
    with serving(tmp_path, *words, "--port", str(port)) as server:
        expect(page.locator("#state")).to_have_text("live")
        teach(server, "prices", numbers, 50)
        expect(page.locator("#figures dd").first).to_have_text("100")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(browser: Browser, server: HttpServer, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    open_model(page, server, "clicks")

    def luminance(name: str) -> float:
        text = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')").strip()
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    def contrast(one: str, two: str) -> float:
        low, high = sorted((luminance(one), luminance(two)))
        return (high + 0.05) / (low + 0.05)

    for ground in ("ground", "card", "chosen"):
        for text in ("text", "faint", "accent"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    for text in ("live", "problem", "second"):
        assert contrast(text, "card") >= 4.5, text
    for shape in ("bar", "bar-below"):
        assert contrast(shape, "card") >= 3, shape
    assert luminance("ground") < 0.1 if scheme == "dark" else luminance("ground") > 0.8
    page.context.close()


def test_nothing_moves_for_those_who_want_that(browser: Browser, server: HttpServer) -> None:
    page = browser.new_page(reduced_motion="reduce")
    open_model(page, server, "clicks")
    assert page.evaluate("getComputedStyle(document.getElementById('state'), '::before').animationName") == "none"
    assert page.evaluate("document.getAnimations().length") == 0
    page.context.close()


def test_reference_fits(watched: Watched, server: HttpServer) -> None:
    watched.page.goto(f"{server.url}/docs")
    expect(watched.page.locator("h1").first).to_be_visible()
    requires_no_scrolling_sideways(watched.page)


# Signing in


def sign_in(page: Page, base: str, key: str) -> None:
    """Types a key into the form."""
    page.goto(base)
    page.get_by_label("Key of this server").fill(key)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("size", SIZES)
def test_key_signs_in_once(browser: Browser, guarded: HttpServer, size: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    watched = Watched(context)
    page = watched.page
    with page.expect_response(f"{guarded.url}/sign_in") as response:
        sign_in(page, guarded.url, "a wrong key")
    assert response.value.status == 403
    expect(page.get_by_role("alert")).to_have_text("This is not the key of this server. Try again.")
    assert context.cookies() == []
    requires_no_scrolling_sideways(page)
    watched.errors = [each for each in watched.errors if "403" not in each]
    sign_in(page, guarded.url, KEY)
    expect(page.locator("#models li")).to_have_count(1)
    (cookie,) = context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert KEY not in json.dumps(cookie)
    page.goto(guarded.url)  # and stays
    expect(page.locator("#state")).to_have_text("live")
    watched.require_clean(guarded.url)
    context.clear_cookies()
    teach(guarded, "prices", numbers, 50)
    expect(page.get_by_label("Key of this server")).to_be_visible()
    context.close()


def test_wrong_key_of_a_program_is_a_problem_in_json(guarded: HttpServer) -> None:
    status, body = guarded.ask("POST", "/sign_in", b"key=wrong", "application/x-www-form-urlencoded")
    assert status == 403
    assert json.loads(body)["detail"] == "the key is wrong"


def test_paths_are_those_behind_a_proxy(tmp_path: Path) -> None:
    with serving(tmp_path, "--root_path", "/learner") as server:
        text = server.ask("GET", "/")[1].decode()
    assert 'src="/learner/page/page.js"' in text
    assert 'href="/learner/page/style.css"' in text
    assert "{root}" not in text


# Pages of others

ATTACK = """<!doctype html><title>another site</title><p id="done">not yet</p>
<form id="form" method="post" enctype="text/plain" action="TARGET/v1/models/prices:learn">
<input name='{"features": {"x": 1}, "label": 2, "z": "' value='"}'></form>
<script>
const about = (media) => ({method: "POST", mode: "no-cors", credentials: "include", body: "1 | x:1\\n",
                           headers: {"Content-Type": media}});
addEventListener("load", async () => {
  const all = ["text/plain", "application/x-www-form-urlencoded"].map((media) =>
    fetch("TARGET/v1/models/prices:learn", about(media)));
  await Promise.allSettled(all);
  document.getElementById("done").textContent = "done";
});
</script>"""


@pytest.fixture
def elsewhere(guarded: HttpServer) -> Iterator[str]:
    """The URL of a page of another origin, which sends examples to the server."""
    content = ATTACK.replace("TARGET", guarded.url).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{other.server_port}/"
        other.shutdown()
        thread.join(PATIENCE)


@pytest.mark.parametrize("way", ["fetch", "form"])
def test_page_of_another_origin_teaches_nothing(
    browser: Browser, guarded: HttpServer, elsewhere: str, way: str
) -> None:
    page = browser.new_page()
    sign_in(page, guarded.url, KEY)  # the cookie goes to all ports of a host
    expect(page.locator("#models li")).to_have_count(1)
    answers = []
    page.on("response", lambda answer: answers.append(answer.status) if ":learn" in answer.url else None)
    page.goto(elsewhere)
    expect(page.locator("#done")).to_have_text("done")
    if way == "form":
        with page.expect_navigation():
            page.evaluate("document.getElementById('form').submit()")
    assert answers == [403] * (3 if way == "form" else 2)
    assert guarded.examples("prices") == 0
    page.context.close()


# What is shipped


def test_files_of_the_page_are_installed() -> None:
    # what charts need is shared with reports
    folders = [Path(str(package.__file__)).parent / "page" for package in (vwlite.http, vwlite.pictures)]
    files = [path for folder in folders for path in folder.iterdir()]
    assert {path.name for path in files} == {"index.html", "sign_in.html", "report.css", "report.js", *ASSETS}
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(", text), path.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name
        assert len(text.splitlines()) <= 400, path.name
