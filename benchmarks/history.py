"""History of the benchmark's ratios: one line of history.jsonl for each full run, a picture of all, and a check.

    python -m benchmarks.history --keep                 add the full run in results.json
    python -m benchmarks.history --draw                 history.svg, anew
    python -m benchmarks.history --check                a short run beside the last short run on such a machine

The check measures a few cases on a fifth of the data. A case has become slower if its ratio is more than 5% below that
of the last short run; the slower ones are measured again, and only those that are slower in three runs make it fail.
The first check on a kind of machine has nothing to compare with, and is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HISTORY = HERE / "history.jsonl"
DROP = 0.05  # of a ratio that counts as slower
RUNS = 3  # in which a case has to be slower
SHORT = ("named-1m", "numeric", "quadratic", "oaa10", "cb_explore_adf")
SHORT_SCALE = 0.2
SHORT_ROUNDS = 5

Ratios = dict[str, float]


def commit() -> str:
    """The commit of the sources, with a + if files differ from it; "unknown" away from a repository."""
    told = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--exclude", "*", "--dirty=+"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"


def machine_of(machine: dict[str, Any]) -> str:
    """The kind of machine, whose ratios may be compared: processor, cores and huge pages."""
    return f"{machine['cpu']}, {machine['cores']} cores, huge pages: {machine['huge_pages']}"


def entry(results: dict[str, Any], short: bool = False) -> dict[str, Any]:
    """The line of a run: when, of what, where, and VW's time over ours in each case with one."""
    machine = results["machine"]
    ratios = {
        name: round(case["ratio"], 3)
        for name, case in results["cases"].items()
        if "ratio" in case and case["wanted"] is not None
    }
    return {
        "date": machine["date"],
        "commit": commit(),
        "machine": machine_of(machine),
        "vw": machine["vw"],
        "vwlite": machine["vwlite"],
        "short": short,
        "ratios": ratios,
    }


def entries(path: Path = HISTORY) -> list[dict[str, Any]]:
    """All lines of the history, the oldest first; none if there is no file.

    Raises ValueError for a line that is not one.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            one = json.loads(line)
            found.append(one | {"ratios": {name: float(ratio) for name, ratio in one["ratios"].items()}})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}:{number}: not a line of the history: {error!r}") from None
    return found


def append(one: dict[str, Any], path: Path = HISTORY) -> None:
    """Adds a line."""
    with path.open("a") as file:
        file.write(json.dumps(one) + "\n")


def slower(now: Ratios, before: Ratios) -> list[str]:
    """The cases whose ratio has dropped by more than DROP."""
    return [name for name, ratio in now.items() if name in before and ratio < (1 - DROP) * before[name]]


def are_measured(results: dict[str, Any]) -> bool:
    """Whether no case failed; prints those that did."""
    failed = [name for name, case in results["cases"].items() if "error" in case]
    if failed:
        print(f"not measured: {', '.join(failed)}")
    return not failed


def check(measure: Callable[[Sequence[str]], dict[str, Any]], path: Path = HISTORY) -> int:
    """Compares short runs with the last one kept for such a machine; returns the exit status.

    `measure` runs cases and returns their results.
    """
    results = measure(SHORT)
    now = entry(results, short=True)
    if not are_measured(results):
        return 1
    before = next((one for one in reversed(entries(path)) if one["short"] and one["machine"] == now["machine"]), None)
    if before is None:
        append(now, path)
        print(f"the first short run on {now['machine']}: kept in {path.name} for the next to compare with")
        return 0
    ratios = dict(now["ratios"])
    left = slower(ratios, before["ratios"])
    for _ in range(RUNS - 1):
        if left:
            results = measure(left)
            if not are_measured(results):
                return 1
            again = entry(results, short=True)["ratios"]
            left = [name for name in slower(again, before["ratios"]) if name in left]
            ratios |= {name: max(ratio, ratios[name]) for name, ratio in again.items()}
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}, before {before['ratios'].get(name, float('nan')):.2f}")
    if left:
        print(f"slower by more than {DROP:.0%} in {RUNS} runs, since {before['commit']}: {', '.join(left)}")
        return 1
    return 0


def draw(path: Path = HISTORY) -> Path:
    """Draws the ratios of all full runs; returns the picture's path. Raises ValueError without any."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    full = [one for one in entries(path) if not one["short"]]
    if not full:
        raise ValueError(f"{path}: no full run to draw")
    names = list(dict.fromkeys(name for one in full for name in one["ratios"]))
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "vwlite", "font.size": 9})
    _, axes = plt.subplots(figsize=(8, 4.5))
    for name in names:
        at = [i for i, one in enumerate(full) if name in one["ratios"]]
        axes.plot(at, [full[i]["ratios"][name] for i in at], marker="o", markersize=3, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("VW's time over vwlite's")
    axes.set_xticks(range(len(full)), [f"{one['date']}\n{one['commit'][:7]}" for one in full])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    picture = path.with_suffix(".svg")
    plt.tight_layout()
    plt.savefig(picture, metadata={"Date": None})
    plt.close()
    return picture


def short_run(vwlite: Sequence[str]) -> Callable[[Sequence[str]], dict[str, Any]]:
    """A function that measures cases on a part of the data by run.py."""

    def measure(cases: Sequence[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "results.json")
            command = [sys.executable, str(HERE / "run.py"), "--scale", str(SHORT_SCALE), "--rounds", str(SHORT_ROUNDS)]
            command += [word for case in cases for word in ("--case", case)]
            subprocess.run([*command, "--output", str(output), *vwlite], stdout=subprocess.DEVNULL, check=False)
            found: dict[str, Any] = json.loads(output.read_text())
            return found

    return measure


def main(argv: Sequence[str] | None = None) -> int:
    """Draws or checks."""
    parser = argparse.ArgumentParser(description="The history of the benchmark's ratios.")
    parser.add_argument("--keep", action="store_true", help="add the run in results.json to the history")
    parser.add_argument("--draw", action="store_true", help="draw history.svg")
    parser.add_argument("--check", action="store_true", help="fail if a case has become slower than in the last check")
    parser.add_argument("--vwlite", metavar="CMD", help="as of run.py")
    chosen = parser.parse_args(argv)
    if not (chosen.keep or chosen.draw or chosen.check):
        parser.error("give --keep, --draw or --check")
    if chosen.keep:
        append(entry(json.loads((HERE / "results.json").read_text())))
    if chosen.draw:
        print(draw())
    return check(short_run(["--vwlite", chosen.vwlite] if chosen.vwlite else [])) if chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
