"""Other doors of the same models: a port for lines, objects in Python, followers, an ASGI application, TLS."""

import asyncio
import shutil
import ssl
import subprocess
import sys

import httpx
import pytest

from tests.support.command import VWLITE
from tests.support.http_server import PATIENCE, ndjson, serving, wait_for
from vwlite import Workspace

FLAGS = "--loss_function logistic --link logistic"
NDJSON = {"Content-Type": "application/x-ndjson"}


def run(*words, cwd):
    """A command that ends by itself."""
    return subprocess.run([*VWLITE, *words], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE)


def test_lines_are_taken_at_a_port_of_their_own(tmp_path):
    (tmp_path / "lines").write_text("".join(f"{(-1) ** (i % 3)} | a{i % 7} x:0.5\n" for i in range(500)))
    words = ["--dir", "models", "--model", f"ctr={FLAGS}", "--line_port", "ctr=0"]
    with serving(tmp_path, *words) as server, server.client() as client:
        port = next(line for line in server.log if "listening for lines" in line).rpartition("port=")[2]
        done = run("client", "--port", port, "lines", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        wanted = Workspace(FLAGS).learn((tmp_path / "lines").read_text().splitlines())
        assert [float(line) for line in done.stdout.split()] == pytest.approx(wanted, abs=1e-6)
        assert client.get("/v1/models/ctr").json()["examples"] == 500
        client.post("/v1/models/ctr:learn", json={"features": {"b": 1}, "label": True})
        server.kill()
    with serving(tmp_path, *words) as server:
        assert server.client().get("/v1/models/ctr").json()["examples"] == 501


def test_http_at_the_port_for_lines_is_refused(tmp_path):
    with serving(tmp_path, "--model", f"ctr={FLAGS}", "--line_port", "ctr=0") as server:
        port = next(line for line in server.log if "listening for lines" in line).rpartition("port=")[2]
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            httpx.post(f"http://127.0.0.1:{port}/", content="1 | victim\n").raise_for_status()
        assert server.client().get("/v1/models/ctr").json()["examples"] == 0


def test_objects_in_python_are_served(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from river import cluster, tree\n"
        "def make():\n    return tree.HoeffdingTreeClassifier(grace_period=10)\n"
        "class Fails:\n"
        "    def learn_one(self, x, y): raise RuntimeError('no')\n"
        "    def predict_one(self, x): return 1\n"
        "clusters = cluster.KMeans(n_clusters=2, halflife=0.5, seed=1)\n"
    )
    words = [word for name in ("make", "Fails", "clusters") for word in ("--model", f"{name}=mine:{name}")]
    with serving(tmp_path, *words, environment={"PYTHONPATH": str(tmp_path)}) as server, server.client() as client:
        for i in range(60):
            body = {"features": {"x": i % 2}, "label": bool(i % 2)}
            assert client.post("/v1/models/make:learn", json=body).status_code == 200
        found = client.post("/v1/models/make:predict", json={"features": {"x": 1}}).json()
        assert found["prediction"]["true"] > 0.9
        answer = client.post("/v1/models/Fails:learn", json={"features": {}, "label": 1})
        assert answer.status_code == 400
        assert "RuntimeError: no" in answer.json()["detail"]
        for x in (0, 10) * 10:
            answer = client.post("/api/learn/", json={"model": "clusters", "features": {"x": x}})
            assert answer.status_code == 201, answer.text
        one, two = (
            client.post("/api/predict/", json={"model": "clusters", "features": {"x": x}}).json()["prediction"]
            for x in (0, 10)
        )
        assert one != two
        assert client.get("/v1/models/make/file").status_code == 503
        assert client.get("/v1/models/make").json()["notes"]
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/models/make/metrics").status_code == 200
        assert client.get("/v1/models/make/weights").status_code == 400
        assert client.post("/v1/models/make:predict?explain=1", json={"features": {}}).status_code == 400


def test_an_import_path_that_leads_nowhere_is_told(tmp_path):
    for path, why in (
        ("nothing:x", "ModuleNotFoundError"),
        ("json:nothing", "AttributeError"),
        ("json:loads", "json:loads"),
    ):
        done = run("serve", "--port", "0", "--model", f"m={path}", cwd=tmp_path)
        assert done.returncode == 1
        assert why in done.stderr


def test_followers_have_the_newest_model_and_only_predict(tmp_path):
    for name in ("writer", "follower"):
        (tmp_path / name).mkdir()
    (tmp_path / "writer" / "token").write_text("a-token-of-enough-length\n")
    (tmp_path / "writer" / "token").chmod(0o600)
    (tmp_path / "follower" / "token").write_text("a-token-of-enough-length\n")
    (tmp_path / "follower" / "token").chmod(0o600)
    signed = {"Authorization": "Bearer a-token-of-enough-length"}
    words = ["--dir", "models", "--model", f"ctr={FLAGS}", "--token_file", "token"]
    with serving(tmp_path / "writer", *words) as writer:
        source = f"{writer.url}/v1/models/ctr/file"
        with serving(tmp_path / "follower", "--follow", source, "--follow_token_file", "token") as follower:
            teacher, client = writer.client(headers=signed), follower.client()
            body = {"features": {"a": 1}}
            for _ in range(3):
                for _ in range(5):
                    teacher.post("/v1/models/ctr:learn", json={**body, "label": True})
                wanted = teacher.post("/v1/models/ctr:predict", json=body).json()
                wait_for(lambda: client.post("/v1/models/ctr:predict", json=body).json() == wanted)  # noqa: B023
            for method, path, content in (
                ("POST", "/v1/models/ctr:learn", {**body, "label": True}),
                ("POST", "/v1/models/ctr:predict", {**body, "remember": True}),
                ("PUT", "/v1/models/new", {"kind": "binary"}),
                ("DELETE", "/v1/models/ctr", {}),
                ("POST", "/api/learn/", {"model": "ctr", **body, "ground_truth": True}),
            ):
                answer = client.request(method, path, json=content)
                assert answer.status_code == 403, answer.text
            found = client.post("/api/predict/", json={"model": "ctr", **body})
            assert (found.status_code, set(found.json())) == (200, {"model", "prediction"})
            writer.stop()
            assert client.post("/v1/models/ctr:predict", json=body).json() == wanted


def test_a_file_is_followed_and_a_damaged_one_is_not(tmp_path):
    workspace = Workspace(FLAGS)
    workspace.save(tmp_path / "ctr.model")
    with serving(tmp_path, "--follow", "best=ctr.model") as server, server.client() as client:
        predicted = lambda: client.post("/v1/models/best:predict", json={"features": {"a": 1}}).json()["prediction"]  # noqa: E731
        assert predicted() == 0.5
        (tmp_path / "bad").write_bytes(b"garbage")
        (tmp_path / "bad").rename(tmp_path / "ctr.model")
        wait_for(lambda: any("no new model" in line for line in server.log))
        assert predicted() == 0.5
        workspace.learn(["1 | a"] * 20)
        workspace.save(tmp_path / "ctr.model")
        wait_for(lambda: predicted() > 0.8)


def test_the_application_runs_in_another_server(tmp_path):
    from vwlite.http import create_app

    app = create_app(str(tmp_path / "models"), token=b"a-token-of-enough-length")

    async def talk():
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                assert (await client.get("/v1/models")).status_code == 401
                client.headers["Authorization"] = "Bearer a-token-of-enough-length"
                await client.put("/v1/models/ctr", json={"options": FLAGS})
                lines = ndjson([{"features": {"a": 1}, "label": True}] * 100)
                answer = await client.post("/v1/models/ctr:learn", content=lines, headers=NDJSON)
                assert answer.status_code == 200
                return (await client.get("/v1/models/ctr")).json()["examples"]

    assert asyncio.run(talk()) == 100
    assert (tmp_path / "models" / "models" / "ctr" / "checkpoint.model").exists()


def test_tls_and_unix_sockets(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2"
    words += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    with serving(tmp_path, "--cert", "cert.pem", "--key", "key.pem") as server:
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        url = server.url.replace("http", "https")
        assert httpx.get(f"{url}/readyz", verify=context).status_code == 200
    with serving(tmp_path, "--socket", "door") as server:
        transport = httpx.HTTPTransport(uds=str(tmp_path / "door"))
        with httpx.Client(transport=transport, base_url="http://anything") as client:
            assert client.get("/readyz").status_code == 200
        assert (tmp_path / "door").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--bind", "0.0.0.0"], "--token_file"),
        (["--model", "x"], "NAME=FLAGS"),
        (["--model", "x=--no_such"], "unknown flag"),
        (["--model", "../x=--sgd"], "name of a model"),
        (["--model", "x=-f y"], "no flag of a served model"),
        (["--id_ttl", "soon"], "a time such as"),
        (["--autosave", "soon"], "--autosave soon"),
        (["--journal", "j"], "--dir"),
        (["--take_over"], "--dir"),
        (["--cert", "x"], "--key"),
        (["--follow", "x", "--dir", "y"], "--follow"),
        (["--line_port", "7"], "NAME=PORT"),
        (["--line_port", "none=0"], "no model named"),
        (["--api_prefix", "a/b"], "--api_prefix"),
        (["--token_file", "nothing"], "nothing"),
        (["--port", "70000"], "port"),
    ],
)
def test_mistakes_on_the_command_line_are_told_in_a_line(tmp_path, words, why):
    given = [] if "--port" in words else ["--port", "0"]
    done = run("serve", *given, *words, cwd=tmp_path)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_two_servers_in_one_folder_and_one_port_are_told(tmp_path):
    with serving(tmp_path, "--dir", "models") as server:
        for words, why in (
            (["--dir", "models", "--port", "0"], "another process"),
            (["--port", str(server.port)], "listen"),
        ):
            done = run("serve", *words, cwd=tmp_path)
            assert done.returncode == 1
            assert why in done.stderr


def test_without_the_extra_the_command_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['starlette'] = None; from vwlite.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "vwlite[http]" in done.stderr
