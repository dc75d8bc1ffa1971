"""What is fuzzed: each target writes the files of one case into the current folder and returns how to read them."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tests.fuzz import formats, lines, mutate
from tests.support import caches
from vwlite.cli import main
from vwlite.model import model_file

Reader = Callable[[], object]  # ends, or raises VwliteError
SAMPLES = Path("..", "samples")  # of the folder of a case: files that are damaged in it


def command(*words: str) -> Reader:
    """Returns a reader that runs the command, which has to end with status 0 or 1."""
    Path("command").write_text("vwlite " + " ".join(words) + "\n")

    def read() -> None:
        before = set(os.listdir())
        status = main(list(words))
        if status not in (0, 1):
            raise AssertionError(f"exit status {status}")
        strangers = {name for name in set(os.listdir()) - before if not name.startswith("out.")}
        if strangers:
            raise AssertionError(f"{sorted(strangers)} appeared")

    return read


def make_samples(folder: Path) -> None:
    """Makes the valid files that cases are made of."""
    folder.mkdir(parents=True)
    r = random.Random(0)
    data = folder / "data.vw"
    data.write_text(
        "".join(f"{r.choice((1, -1))} |user u{r.randrange(9)} |x1 a:{r.random():.3f} b\n" for _ in range(60))
    )
    block = "shared |s c\n0:-1:0.5 |a i0\n|a i1\n\n1:0:0.5 |a i0\n|a i1\n\n"
    (folder / "decisions.vw").write_text(block * 9)
    (folder / "classes.vw").write_text(
        "".join(
            f"{r.choice(('cat', 'dog', 'fox'))} |user u{r.randrange(9)} |x1 a:{r.random():.3f} b\n" for _ in range(60)
        )
    )
    (folder / "costs.vw").write_text("1:0.5 |a i0\n2:1 |a i1\n\n1:1 |a i0\n2:0 |a i2\n\n" * 9)
    models = {
        "gd": "-b 8 -q xu",
        "logistic": "-b 8 --loss_function logistic --link logistic --l1 0.001",
        "coin": "-b 8 --coin",
        "full": "--bayes_linear",
        "effects": "--bayes_linear --random_effect user:x1 --posterior diagonal --batch_size 7",
        "stored": "--bayes_linear --random_effect user:x1 --posterior diagonal --entity_limit 3",
    }
    for name, flags in models.items():
        assert main(["--quiet", str(data), "-f", str(folder / f"{name}.model"), *flags.split()]) == 0
    for name, (text, flags) in OF_CHOICES.items():
        assert main(["--quiet", str(folder / text), *flags.split(), "-f", str(folder / f"{name}.model")]) == 0
    words = ["--quiet", str(data), "--bayes_logistic", "--fixed_effect", str(folder / "logistic.model")]
    assert main([*words, "-f", str(folder / "embedding.model")]) == 0
    make_journal(folder / "journal")
    for name, (text, flags) in CACHES.items():
        cache = folder / f"{name}.cache"
        assert main(["--quiet", str(folder / text), *flags.split(), "--cache_file", str(cache)]) == 0


# Samples of models whose labels are no numbers: of which data, and with which flags.
OF_CHOICES = {
    "policy": ("decisions.vw", "--thompson --bayes_linear"),
    "cb": ("decisions.vw", "--cb_explore_adf --cb_type dr -b 8"),
    "oaa": ("classes.vw", "--oaa 3 -b 8"),
    "personal": ("classes.vw", "--oaa 3 --bayes_linear --random_effect user"),
    "subsample": ("classes.vw", "--oaa 3 --oaa_subsample 1 -b 8"),
    "ldf": ("costs.vw", "--csoaa_ldf m -b 8"),
}

# Samples of caches: of which data, and with which flags.
CACHES = {
    "plain": ("data.vw", "-q xu"),
    "named": ("data.vw", "--bayes_linear --random_effect user:x1"),
    "decisions": ("decisions.vw", "--thompson --bayes_linear"),
    "classes": ("classes.vw", "--oaa 3"),
    "costs": ("costs.vw", "--csoaa_ldf m"),
}


def make_journal(folder: Path) -> None:
    """Makes a journal of two segments."""
    from vwlite.daemon.journal import Journal

    journal = Journal(os.fspath(folder))
    journal.start(lambda: None)
    for number in range(30):
        journal.append(b"1 | a b%d\n" % number)
        if number == 20:
            journal.rotate()
    journal.close()


def text(r: random.Random) -> Reader:
    """Examples or decisions as text, some with random damage."""
    content, flags = r.choice(
        (
            *[(lines.examples(r), lines.FLAGS)] * 4,
            *[(lines.decisions(r), lines.POLICIES)] * 2,
            *[(lines.examples(r, lines.classed), lines.CLASSES)] * 2,
            (lines.examples(r, lines.choice), lines.COSTS),
        )
    )
    if r.random() < 0.05:  # labels of another kind than the stack takes
        flags = r.choice((lines.FLAGS, lines.POLICIES, lines.CLASSES, lines.COSTS))
    data = content.encode("utf-8", "surrogatepass")
    if r.random() < 0.5:
        data = mutate.of_bytes(r, data)
    Path("data.vw").write_bytes(data)
    more = r.choice(("", "", "--onethread", "-c -k", "--quiet", "-P 1", "--max_line_bytes 1024", "--examples 3"))
    words = [*r.choice(flags).split(), *more.split()]
    if "-c" in words:
        words += ["--cache_file", "out.cache"]
    if r.random() < 0.5:
        words += ["-f", "out.model", "--readable_model", "out.text", "-p", "out.predictions"]
    return command("data.vw", *words)


def other_formats(r: random.Random) -> Reader:
    """Examples or decisions in JSON, libsvm and the like, some with random damage."""
    content, words = formats.any_format(r)
    data = content.encode("utf-8", "surrogatepass")
    Path("data").write_bytes(mutate.of_bytes(r, data) if r.random() < 0.3 else data)
    return command("data", *words, "-p", "out.predictions")


CHOICES = (
    *("--shuffle 2", "--shuffle 50 -q xu", "--sample 0.5", "--sample_weights poisson", "--holdout 0.3"),
    *(
        "--where 'label > 0 or has x1'",
        "--where 'x1^a < 0.5 and not user == \"u1\"'",
        '--where "`b` == 0" --passes 2 -k',
    ),
    "-d data.vw --interleave --shuffle 3",
)
EXPRESSION = (
    *("(", ")", "not", "and", "or", "==", "<", "in", "is", "missing", "has", ",", "="),
    *("a", "x1^b", "`b c`", "1", "'u1'"),
)
KINDS = ("simple", "simple", "class", "classes", "costs", "lines", "decisions")


def chosen(r: random.Random) -> Reader:
    """Examples as text or JSON, some with damage, that are chosen, mixed, split and converted."""
    content = r.choice((lines.examples, lines.decisions, lambda r: lines.examples(r, lines.classed)))(r)
    data, form = content.encode("utf-8", "surrogatepass"), "vw"
    if r.random() < 0.3:
        values = [r.choice(("1", "-0.5", "0", '"red"', "true", '["u1"]', '{"a": 2, "b": "x"}')) for _ in range(60)]
        rows = (
            f'"user": {one}, "x1": {two}, "b": {three}' for one, two, three in zip(*[iter(values)] * 3, strict=True)
        )
        data, form = "".join(f'{{"_label": 1, {row}}}\n' for row in rows).encode(), "json"
    if r.random() < 0.5:
        data = mutate.of_bytes(r, data)
    Path("data.vw").write_bytes(data)
    kind = r.choice(KINDS)
    where = ["--where", " ".join(r.choices(EXPRESSION, k=r.randrange(1, 8)))] if r.random() < 0.3 else []
    match r.randrange(3):
        case 0:
            stack = r.choice(("", "--oaa 3", "--cb_adf", "--bayes_linear --random_effect user"))
            words = ["data.vw", *shlex.split(f"{r.choice(CHOICES)} {stack}"), "--cache_file", "out.cache"]
        case 1:
            to = r.choice(("vw", "json", "csv"))
            words = ["convert", "data.vw", "--to", to, "-o", "out.file", "--labels", kind, *where]
        case _:
            by = r.choice(("line", "tag", "user", "x1^a"))
            words = ["split", "data.vw", "0.5", "0.3", "--by", by, "-o", "out", "--labels", kind, *where]
    return command(*words, "--format", form)


def model(r: random.Random) -> Reader:
    """Model files with damage, half of it with digests that are right, in each way that they are read."""
    name = r.choice(("gd", "logistic", "coin", "full", "effects", "stored", "embedding", *OF_CHOICES))
    for suffix in (".model", ".model.entities"):
        if (SAMPLES / (name + suffix)).exists():
            shutil.copy(SAMPLES / (name + suffix), "sample" + suffix)
    path = Path("sample.model")
    if r.random() < 0.5:
        mutate.of_model(r, path)
    else:
        path.write_bytes(mutate.of_bytes(r, path.read_bytes()))
    data = str(SAMPLES / OF_CHOICES.get(name, ("data.vw",))[0])
    ways: Iterable[tuple[str, ...]] = (
        ("-t", "-i", "sample.model", data, "-p", "out.predictions"),
        ("-i", "sample.model", data, "-f", "out.model", "--quiet"),
        ("-i", "sample.model", data, "--invert_hash", "out.text", "--audit"),
        ("inspect", "sample.model"),
        ("inspect", "--json", "sample.model"),
        (str(SAMPLES / "data.vw"), "--bayes_linear", "--fixed_effect", "sample.model", "-f", "out.model"),
    )
    return command(*r.choice(list(ways)))


def cache(r: random.Random) -> Reader:
    """Caches with damaged blocks, most of which have the right checksums."""
    name = r.choice(list(CACHES))
    text, flags = CACHES[name]
    shutil.copy(SAMPLES / text, text)
    shutil.copy(SAMPLES / f"{name}.cache", "sample.cache")
    if r.random() < 0.8:
        mutate.of_cache(r, Path("sample.cache"))
    else:
        Path("sample.cache").write_bytes(mutate.of_bytes(r, Path("sample.cache").read_bytes()))
    read = command(text, *flags.split(), "--cache_file", "sample.cache", "--passes", "2", "-f", "out.model")

    def read_as_its_own() -> None:
        # a copy of a file is another one
        with suppress(ValueError):
            caches.adopt("sample.cache", text)
        read()

    return read_as_its_own


def store(r: random.Random) -> Reader:
    """Stores of entities with damaged bytes, whose models give the sha256 of what they then hold."""
    from hashlib import sha256

    shutil.copy(SAMPLES / "stored.model", "sample.model")
    data = mutate.of_bytes(r, (SAMPLES / "stored.model.entities").read_bytes())
    Path("sample.model.entities").write_bytes(data)
    reader = model_file.open("sample.model")
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("digests", "format_version")}
    metadata["entities"] = {**metadata["entities"], "sha256": sha256(data).hexdigest()}
    kept = {n: (reader.dtype(n), reader.shape(n), bytes(reader.array(n, reader.dtype(n)))) for n in reader.names()}
    model_file.write("sample.model", kept, metadata)
    limit = r.choice(((), ("--entity_limit", "2")))
    learning = r.choice((("-t",), ("-f", "out.model")))
    return command("-i", "sample.model", str(SAMPLES / "data.vw"), *limit, *learning, "--quiet")


def json_lines(r: random.Random) -> Reader:
    """JSON lines, and lines of text between them, as a daemon runs them."""
    from vwlite.daemon.engine import Engine
    from vwlite.daemon.protocol import JSON, parts
    from vwlite.engine.command_line import option_groups, parse

    flags = r.choice((*lines.FLAGS, *lines.POLICIES, *lines.CLASSES, *lines.COSTS)).split()
    some = [lines.json_line(r) if r.random() < 0.8 else lines.example(r) for _ in range(r.choice((1, 5)))]
    data = "".join(line + "\n" for line in some).encode("utf-8", "surrogatepass")
    if r.random() < 0.3:
        data = mutate.of_bytes(r, data)
    Path("lines").write_bytes(data)
    Path("command").write_text("vwlite --daemon --foreground " + " ".join(flags) + "  # and the bytes of lines\n")

    def read() -> None:
        engine = Engine(parse(flags, option_groups()))
        for kind, part in parts(data + b"\n", engine.blocks):
            if kind == JSON:
                engine.in_json(engine.run_json(part))
            else:
                engine.run(part)

    return read


def journal(r: random.Random) -> Reader:
    """Journals with a damaged, missing or foreign file."""
    from vwlite.daemon.journal import Journal

    shutil.copytree(SAMPLES / "journal", "journal")
    name = r.choice(sorted(path.name for path in Path("journal").iterdir()))
    path = Path("journal", name)
    if r.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(mutate.of_bytes(r, path.read_bytes()))

    def read() -> None:
        journal = Journal("journal")
        try:
            for _ in journal.entries(r.randrange(40)):
                pass
        finally:
            journal.close()

    return read


def configuration(r: random.Random) -> Reader:
    """Configuration files."""
    data = lines.configuration(r).encode("utf-8", "surrogatepass")
    Path("flags.toml").write_bytes(mutate.of_bytes(r, data) if r.random() < 0.5 else data)
    return command("--config", "flags.toml", str(SAMPLES / "data.vw"), "--dry_run")


def logs(r: random.Random) -> Reader:
    """Files that the subcommands read: logs that are replayed, predictions that become offsets."""
    if r.random() < 0.5:
        data = lines.decisions(r).encode("utf-8", "surrogatepass")
        Path("log.vw").write_bytes(mutate.of_bytes(r, data) if r.random() < 0.3 else data)
        return command("simulate", "log.vw", "--seeds", "1")
    Path("data.vw").write_text(lines.examples(r), errors="surrogatepass")
    predictions = "".join(lines.number(r) + "\n" for _ in range(r.randrange(40)))
    Path("predictions").write_text(predictions, errors="surrogatepass")
    return command("residual", "data.vw", "predictions")


class Service:
    """A daemon that takes the bytes of one case after the other, and must answer a ping after each."""

    def __init__(self) -> None:
        self.path = os.path.abspath(SAMPLES.parent / f"socket-{os.getpid()}")
        words = ["--daemon", "--foreground", "--socket", self.path, "--bayes_linear", "-q", "ab"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vwlite", *words], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self.process.stderr is not None
        while "listening" not in (line := self.process.stderr.readline()):
            assert line, "the daemon did not start"

    def ask(self, data: bytes) -> bytes:
        """Returns all that it answers to a client who sends this and then half-closes."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.path)
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has closed the connection, as it may
            answer = b""
            try:
                while part := client.recv(1 << 16):
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    def end(self) -> None:
        """Stops it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


_service: list[Service] = []


def connection(r: random.Random) -> Reader:
    """Bytes that a client sends to a daemon's socket."""
    if not _service:
        _service.append(Service())
    words = (
        b"!stats\n",
        b"!save\n",
        b"!ping\n",
        b"!quit\n",
        b"!x\n",
        b"save\n",
        b"save_x\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
    )
    parts = []
    for _ in range(r.choice((1, 3, 10))):
        parts.append(r.choice(words) if r.random() < 0.2 else lines.example(r).encode("utf-8", "surrogatepass") + b"\n")
    data = b"".join(parts)
    if r.random() < 0.4:
        data = mutate.of_bytes(r, data)
    Path("sent").write_bytes(data)

    def read() -> None:
        _service[0].ask(data)
        answer = _service[0].ask(b"!ping\n")
        if not answer:
            raise AssertionError(f"no answer to !ping; exit status {_service[0].process.poll()}")

    return read


TARGETS = (text, other_formats, chosen, model, cache, store, json_lines, journal, configuration, logs, connection)
