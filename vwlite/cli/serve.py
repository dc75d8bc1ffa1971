"""The command `vwlite serve`: models behind HTTP, which learn."""

from __future__ import annotations

import os
from typing import Any

import click

from vwlite.errors import OptionError


@click.command(
    short_help="Serve models over HTTP, which learn from requests.",
    epilog="See docs/http.md for the requests. Needs the extra http: pip install 'vwlite[http]'.",
)
@click.option("--dir", "folder", metavar="DIR", help="keep models in this folder; without it they are in memory only")
@click.option("--model", "models", multiple=True, metavar="NAME=FLAGS|FILE|module:object",
              help="a model to begin with")  # fmt: skip
@click.option("--line_port", "line_ports", multiple=True, metavar="NAME=PORT",
              help="a port for the lines of VW's clients, of a model")  # fmt: skip
@click.option("--follow", "followed", multiple=True, metavar="[NAME=]FILE|URL",
              help="predict by the model of a file or another server, loaded anew when there is a new one")  # fmt: skip
@click.option("--follow_token_file", metavar="FILE", help="the token that the other server wants")
@click.option("--take_over", is_flag=True, help="take the socket of the server that runs with DIR, which then ends")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="TCP port; 0: a free one")
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="address to listen at")
@click.option("--socket", metavar="PATH", help="listen at this Unix socket instead")
@click.option("--token_file", metavar="FILE", help="clients have to send the token in this file")
@click.option("--cert", metavar="FILE", help="use TLS with this certificate (PEM)")
@click.option("--key", metavar="FILE", help="private key of --cert (PEM)")
@click.option("--insecure", is_flag=True, help="listen at a public address without a token")
@click.option("--journal", metavar="DIR", help="the folder of the journal; DIR/journal unless given")
@click.option("--no_journal", is_flag=True, help="answer before it is on disk: a crash loses what was learned last")
@click.option(
    "--autosave", metavar="N|SECONDSs", help="save a model every so many examples or seconds  [default: 600s]"
)
@click.option("--max_models", type=click.IntRange(1), default=1000, show_default=True, help="most models")
@click.option("--max_loaded", type=click.IntRange(1), default=1000, show_default=True, help="most models in memory")
@click.option("--max_body", type=click.IntRange(1024), default=1 << 24, show_default=True, help="most bytes of a body")
@click.option("--max_batch", type=click.IntRange(1), default=100_000, show_default=True, help="most examples of one")
@click.option("--max_ids", type=click.IntRange(1), default=1_000_000, show_default=True,
              help="most predictions that wait for labels")  # fmt: skip
@click.option("--id_ttl", default="7d", show_default=True, metavar="TIME", help="how long they wait: 90s, 15m, 12h, 7d")
@click.option("--max_connections", type=click.IntRange(1), default=1000, show_default=True, help="most connections")
@click.option("--read_timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True,
              help="seconds in which a request has to arrive")  # fmt: skip
@click.option("--api_prefix", default="api", show_default=True, help="of the paths of River's API")
@click.option("--root_path", metavar="PATH", help="of all paths, as clients see them behind a proxy")
@click.option("--allow_host", multiple=True, metavar="NAME", help="a name of this server, as clients write it")
@click.option("--allow_origin", multiple=True, metavar="URL", help="pages of this origin may use the server")
@click.option("--trusted_proxy", multiple=True, metavar="ADDRESS", help="believe X-Forwarded headers from there")
@click.option("--daemon", is_flag=True, help="go to the background; the command returns when clients can connect")
@click.option("--pid_file", metavar="FILE", help="write the process id here")
@click.option("--port_file", metavar="FILE", help="write the port here")
@click.option("--log", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="format of the log")  # fmt: skip
@click.option("--log_requests", is_flag=True, help="log each request")
@click.option("--quiet", is_flag=True, help="log warnings and errors only")
def command(**given: Any) -> int:
    """Serves models over HTTP, which predict, and learn from labels that come with a request or later."""
    try:
        from vwlite.http.start import serve
    except ModuleNotFoundError as error:
        raise OptionError(f"vwlite serve needs {error.name}: pip install 'vwlite[http]'") from None
    from vwlite.daemon.log import Log

    settings, models, tls = read(given)
    ports = {name: int(port) for name, _, port in (text.partition("=") for text in given["line_ports"])}
    log = Log(as_json=given["log_format"] == "json", quiet=given["quiet"])
    sources = None
    if given["followed"]:
        from vwlite.daemon.start import read_token
        from vwlite.http.follow import source_of

        token = read_token(given["follow_token_file"]) if given["follow_token_file"] else None
        sources = [source_of(text, token) for text in given["followed"]]
    files = {"pid": given["pid_file"], "port": given["port_file"]}
    what = settings, log, models, files, tls, given["take_over"], ports, sources
    if not given["daemon"]:
        return serve(*what)
    from vwlite.daemon.start import in_background

    return in_background(lambda ready: serve(*what, ready), log)


def read(given: dict[str, Any]) -> tuple[Any, dict[str, str], tuple[str, str] | None]:
    """The settings, the models to begin with, and the files of TLS. Raises OptionError."""
    from vwlite.daemon.start import is_loopback, read_token
    from vwlite.http.settings import Settings

    errors = []
    models = {}
    for text in given["models"]:
        name, equals, what = text.partition("=")
        if not equals or not name:
            errors.append(f"--model {text}: expected NAME=FLAGS or NAME=FILE")
        elif name in models:
            errors.append(f"--model {name} is given twice")
        models[name] = what
    for text in given["line_ports"]:
        name, _, port = text.partition("=")
        if not name or not port.isdigit() or int(port) > 65535:
            errors.append(f"--line_port {text}: expected NAME=PORT")
    if given["followed"] and (given["folder"] or given["models"]):
        errors.append("--follow: a server that follows has no models of its own: leave out --dir and --model")
    if given["take_over"] and not given["folder"]:
        errors.append("--take_over needs --dir: the running server is found by its folder")
    if given["journal"] and given["no_journal"]:
        errors.append("--journal and --no_journal exclude each other")
    if given["journal"] and not given["folder"]:
        errors.append("--journal needs --dir: without that models are in memory only")
    if (given["cert"] is None) != (given["key"] is None):
        errors.append("--cert and --key go together")
    if not (given["token_file"] or given["insecure"] or given["socket"] or is_loopback(given["bind"])):
        errors.append(
            f"--bind {given['bind']} accepts connections from other machines: any client that can reach the port can "
            "use and teach the models; give --token_file FILE, or --insecure if the network restricts access"
        )
    root = (given["root_path"] or "").rstrip("/")
    if root and not root.startswith("/"):
        errors.append(f"--root_path {given['root_path']}: begins with '/'")
    if not given["api_prefix"].strip("/").replace("-", "").replace("_", "").isalnum():
        errors.append(f"--api_prefix {given['api_prefix']}: letters, digits, '-' and '_'")
    life, autosave, examples = seconds(given["id_ttl"]), None, None
    if life is None:
        errors.append(f"--id_ttl {given['id_ttl']}: expected a time such as 90s, 15m, 12h or 7d")
    if given["autosave"] is not None:
        from vwlite.daemon.saving import autosave as autosaves

        try:
            asked: Any = given
            autosave, examples = autosaves(asked)
        except OptionError as error:
            errors += error.errors
    if errors:
        raise OptionError(errors)
    folder = given["folder"]
    journal = None
    if folder is not None and not given["no_journal"]:
        journal = given["journal"] or os.path.join(folder, "journal")
    settings = Settings(
        folder=folder,
        journal=journal,
        autosave=autosave,
        autosave_examples=examples,
        prefix=given["api_prefix"].strip("/"),
        root_path=root,
        bind=given["bind"],
        port=given["port"],
        socket=given["socket"],
        token=read_token(given["token_file"]) if given["token_file"] else None,
        hosts=frozenset(each.lower() for each in given["allow_host"]),
        origins=frozenset(each.lower().rstrip("/") for each in given["allow_origin"]),
        proxies=tuple(given["trusted_proxy"]),
        max_body=given["max_body"],
        max_batch=given["max_batch"],
        max_models=given["max_models"],
        max_loaded=given["max_loaded"],
        max_ids=given["max_ids"],
        id_life=life or 0.0,
        max_connections=given["max_connections"],
        read_timeout=given["read_timeout"],
        log_requests=given["log_requests"],
        follows=bool(given["followed"]),
    )
    tls = (given["cert"], given["key"]) if given["cert"] else None
    return settings, models, tls


def seconds(text: str) -> float | None:
    """A time such as 15m in seconds; None if it is none.

    >>> seconds("90s"), seconds("7d"), seconds("soon")
    (90.0, 604800.0, None)
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isascii() or not number.replace(".", "", 1).isdigit():
        return None
    return float(number) * units[unit] or None
