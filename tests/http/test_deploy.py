"""What is in examples/deploy/http: the unit, the image, followers and shards behind a real nginx."""

import configparser
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.http_server import PATIENCE, HttpServer, serving, wait_for
from tests.support.scripts import EXAMPLES

DEPLOY = EXAMPLES / "deploy" / "http"
TOKEN = "0123456789abcdef-token"


def adapted(words, folder):
    """The words of a command behind `vwlite serve`, in folders of the test and at a free port."""
    assert [Path(words[0]).name, words[1]] == ["vwlite", "serve"]
    found = []
    for word in words[2:]:
        found.append(str(folder / word.removeprefix("/")) if word.startswith("/") else word)
    port = found.index("--port")
    del found[port : port + 2]
    return found


def test_the_unit_starts_a_server_that_tells_systemd_how_it_is(tmp_path):
    unit = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((DEPLOY / "vwlite-http.service").read_text())
    service = unit["Service"]
    assert service["Type"] == "notify"
    words = adapted(shlex.split(service["ExecStart"]), tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        (tmp_path / "var/lib/vwlite-http").mkdir(parents=True)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with serving(tmp_path, *words, environment=environment) as server:
            said = {manager.recv(100) for _ in range(3)}
            assert said == {b"READY=1", b"WATCHDOG=1"}
            assert httpx.get(f"{server.url}/readyz").status_code == 200
        while (last := manager.recv(100)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"


def test_the_socket_may_be_opened_by_systemd(tmp_path):
    """As sd_listen_fds(3) has it: descriptor 3, and the process that it is for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        start = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'vwlite', 'serve', '--port', '1'])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", start, str(listener.fileno())], pass_fds=[listener.fileno()], cwd=tmp_path,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            # the connection waits in the socket's queue until the server is there
            assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).json()["status"] == "ready"
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_image_starts_a_server(tmp_path):
    text = (DEPLOY / "Dockerfile").read_text()
    entry, command, check = (
        json.loads(re.findall(rf"^{word} (\[.*\])$", text, re.MULTILINE)[0])
        for word in ("ENTRYPOINT", "CMD", "    CMD")
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "run/secrets").mkdir(parents=True)
    (tmp_path / "run/secrets/token").write_text(TOKEN)
    (tmp_path / "run/secrets/token").chmod(0o640)
    words = adapted([*entry, *command], tmp_path)
    with serving(tmp_path, *words) as server:
        code = check[2].replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
        assert httpx.get(f"{server.url}/v1/models").status_code == 401
        signed = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{server.url}/metrics", headers=signed).status_code == 200
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose["services"]["vwlite"]["command"][:2] == command[:2]
    figures = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    (target,) = figures["static_configs"][0]["targets"]
    hosts = compose["services"]["vwlite"]["command"]
    assert target.partition(":")[0] in hosts


# nginx


class Nginx:
    """A real nginx with one of the examples, whose ports are those of servers of the test."""

    def __init__(self, folder, name, ports):
        if shutil.which("nginx") is None:
            assert "CI" not in os.environ, "nginx is missing"
            pytest.skip("nginx is not installed")
        text = (DEPLOY / name).read_text()
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.port = one.getsockname()[1]
        for old, new in {**ports, 8000: self.port}.items():
            text = text.replace(f"127.0.0.1:{old};", f"127.0.0.1:{new};")
        (folder / "site.conf").write_text(text)
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
        )
        self.process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"],
            stderr=subprocess.PIPE,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(self.answers)

    def answers(self):
        assert self.process.poll() is None
        try:
            return httpx.get(self.url + "/healthz", headers={"X-Entity": "x"}).status_code < 500
        except httpx.TransportError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)


def folders(tmp_path, *names):
    for name in names:
        (tmp_path / name).mkdir()
        yield tmp_path / name


def test_followers_behind_nginx_predict_what_the_writer_has_learned(tmp_path):
    one, two, three, proxy = folders(tmp_path, "one", "two", "three", "proxy")
    flags = "--loss_function logistic --link logistic"
    with serving(one, "--dir", "models", "--model", f"ctr={flags}") as writer:
        source = f"{writer.url}/v1/models/ctr/file"
        with serving(two, "--follow", source) as first, serving(three, "--follow", source) as second:
            nginx = Nginx(proxy, "nginx-followers.conf", {8001: writer.port, 8002: first.port, 8003: second.port})
            try:
                with httpx.Client(base_url=nginx.url, timeout=PATIENCE) as client:
                    for _ in range(20):
                        answer = client.post("/v1/models/ctr:learn", json={"features": {"a": 1}, "label": True})
                        assert answer.status_code == 200
                    body = {"features": {"a": 1}}
                    wanted = httpx.post(f"{writer.url}/v1/models/ctr:predict", json=body).json()
                    assert wanted["prediction"] > 0.8

                    def have_followed():
                        found = [client.post("/v1/models/ctr:predict", json=body).json() for _ in range(6)]
                        return all(each == wanted for each in found)

                    wait_for(have_followed)
                    refused = httpx.post(f"{first.url}/v1/models/ctr:learn", json={"features": {}, "label": True})
                    assert refused.status_code == 403
                    for each in (first, second):
                        counts = re.findall(
                            r'vwlite_requests_total\{route="/v1/models/\{name\}:predict",status="200"\} (\d+)',
                            httpx.get(f"{each.url}/metrics").text,
                        )
                        assert int(counts[0]) >= 2
            finally:
                nginx.stop()


def test_shards_behind_nginx_have_each_entity_in_one_of_them(tmp_path):
    one, two, proxy = folders(tmp_path, "one", "two", "proxy")
    model = "ctr=--bayes_logistic --random_effect user --link logistic"
    servers = [HttpServer(folder, "--dir", "models", "--model", model) for folder in (one, two)]
    nginx = Nginx(proxy, "nginx-shards.conf", {8001: servers[0].port, 8002: servers[1].port})
    try:
        with httpx.Client(base_url=nginx.url, timeout=PATIENCE) as client:
            for i in range(400):
                user = f"u{i % 20}"
                body = {"features": {"user": {user: True}, "price": 1}, "label": i % 20 < 10}
                answer = client.post("/v1/models/ctr:learn", json=body, headers={"X-Entity": user})
                assert answer.status_code == 200, answer.text
            counts = [each.client().get("/v1/models/ctr").json()["examples"] for each in servers]
            assert sum(counts) == 400
            assert min(counts) > 0
            assert all(count % 20 == 0 for count in counts)  # all examples of an entity, or none
            likes = {
                user: client.post(
                    "/v1/models/ctr:predict", json={"features": {"user": {user: True}, "price": 1}},
                    headers={"X-Entity": user},
                ).json()["prediction"]
                for user in ("u3", "u15")
            }  # fmt: skip
            assert likes["u3"] > 0.6 > 0.4 > likes["u15"]
            assert client.post("/v1/models/ctr:learn", json=body).status_code == 400
            # a shard that is started again is found again
            servers[0].kill()
            servers[0] = HttpServer(one, "--dir", "models", "--model", model, port=servers[0].port)
            began = time.monotonic()
            statuses, empty = set(), {"features": {"a": 0}}
            while time.monotonic() < began + PATIENCE:  # nginx leaves one alone that has failed, for some seconds
                statuses = {
                    client.post("/v1/models/ctr:predict", json=empty, headers={"X-Entity": f"u{i}"}).status_code
                    for i in range(20)
                }
                if statuses == {200}:
                    break
            assert statuses == {200}
    finally:
        nginx.stop()
        assert [each.stop() for each in servers] == [0, 0]
