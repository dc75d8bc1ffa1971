"""Draws the pictures of the pages, from runs of vwlite with fixed seeds: python docs/figures/make.py

Writes learning.svg, shrinkage.svg, intervals.svg and regret.svg beside itself, the same bytes each time. Needs
matplotlib. Colours are mid-tones, so that the pictures can be read on light and on dark pages.
"""

import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
VWLITE = Path(sys.executable).parent / "vwlite"
GREY, TEAL, ORANGE, BLUE, RED = "#808080", "#1a9a8a", "#d9822b", "#4a86d8", "#d0506a"

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "vwlite", "font.family": "sans-serif", "font.size": 10,
    "axes.edgecolor": GREY, "axes.labelcolor": GREY, "xtick.color": GREY, "ytick.color": GREY, "text.color": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "figure.figsize": (6, 3.4),
})  # fmt: skip


def vwlite(folder: Path, *words: str) -> str:
    """What a run prints on either stream."""
    done = subprocess.run(
        [VWLITE, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def simulated(folder: Path, name: str, *words: str) -> None:
    """A file of simulated lines."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "simulated.py", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    (folder / name).write_text(done.stdout)


def save(name: str) -> None:
    """Write the picture."""
    plt.tight_layout()
    plt.savefig(HERE / f"{name}.svg", transparent=True, metadata={"Date": None})
    plt.close()


def learning(folder: Path) -> None:
    """Progressive loss of two models of clicks."""
    simulated(folder, "clicks.vw", "clicks", "0", "20000")
    for words, colour, label in (
        ([], ORANGE, "no crossed features"),
        (["-q", "sa"], TEAL, "-q sa: sites crossed with ads"),
    ):
        printed = vwlite(folder, "--loss_function", "logistic", *words, "-P", "250", "clicks.vw")
        rows = [line.split() for line in printed.splitlines() if line[:1].isdigit() and len(line.split()) == 7]
        plt.plot([int(row[2]) for row in rows], [float(row[0]) for row in rows], color=colour, label=label)
    best = float(printed.split("best constant's loss = ")[1].split()[0])
    plt.axhline(best, color=GREY, linestyle=":", label="the best constant")
    plt.xlabel("examples")
    plt.ylabel("average loss so far")
    plt.legend()
    save("learning")


def shrinkage(folder: Path) -> None:
    """Means of users and what the model believes of them."""
    simulated(folder, "ratings.vw", "ratings", "0", "2000")
    vwlite(folder, "--bayes_linear", "--random_effect", "user", "--ignore", "mg", "ratings.vw", "-f", "m",
           "--readable_model", "table")  # fmt: skip
    labels = defaultdict(list)
    for line in (folder / "ratings.vw").read_text().splitlines():
        words = line.replace("|", " ").split()
        labels[words[2]].append(float(words[0]))
    middle = sum(map(sum, labels.values())) / sum(map(len, labels.values()))
    means = {}
    for line in (folder / "table").read_text().splitlines():
        words = line.split("\t")
        if len(words) == 4 and words[0] in labels and words[1] == "Constant":
            means[words[0]] = float(words[2])
    for least, most, colour in ((1, 2, ORANGE), (3, 9, BLUE), (10, 10**9, TEAL)):
        users = [user for user in sorted(means)[::2] if least <= len(labels[user]) <= most]
        legend = f"{least} to {most} ratings" if most < 10**9 else f"{least} ratings or more"
        x = [sum(labels[user]) / len(labels[user]) - middle for user in users]
        plt.plot(x, [means[user] for user in users], ".", color=colour, label=legend, markersize=5)
    plt.axline((0, 0), slope=1, color=GREY, linestyle=":", linewidth=1)
    plt.xlabel("the user's mean rating, less the mean of all")
    plt.ylabel("posterior mean")
    plt.legend()
    save("shrinkage")


def intervals(folder: Path) -> None:
    """Share of held-out ratings inside their intervals."""
    simulated(folder, "ratings.vw", "ratings", "0", "10000")
    simulated(folder, "later.vw", "ratings", "10000", "2000")
    model = ["--bayes_linear", "--random_effect", "user", "--random_effect", "movie", "--ignore", "g"]
    vwlite(folder, *model, "ratings.vw", "-f", "m")
    labels = [float(line.split()[0]) for line in (folder / "later.vw").read_text().splitlines()]
    levels = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    held = []
    for level in levels:
        vwlite(folder, "-t", "-i", "m", "later.vw", "--interval", str(level), "--columns", "label_low,label_high",
               "-p", "p")  # fmt: skip
        ends = [map(float, line.split()) for line in (folder / "p").read_text().splitlines()]
        held.append(sum(low <= y <= high for y, (low, high) in zip(labels, ends, strict=True)) / len(labels))
    plt.plot(levels, held, "o-", color=TEAL, label="2,000 new ratings")
    plt.plot([0.5, 1], [0.5, 1], color=GREY, linestyle=":", label="as promised")
    plt.xlabel("--interval")
    plt.ylabel("share inside label_low to label_high")
    plt.legend()
    save("intervals")


def regret(folder: Path) -> None:
    """Regret of four policies."""
    vwlite(folder, "simulate", "arms", "--rounds", "4000", "--gap", "0.2", "--jobs", "1", "--quiet", "--policies",
           "thompson:1,epsilon:0.1,greedy,random", "--curves", "curves")  # fmt: skip
    rows = list(csv.DictReader((folder / "curves").open(), delimiter="\t"))
    for policy, colour in (("random", GREY), ("greedy", RED), ("epsilon:0.1", ORANGE), ("thompson:1", TEAL)):
        own = [row for row in rows if row["policy"] == policy]
        rounds, lost = ([float(row[name]) for row in own] for name in ("round", "regret"))
        plt.plot(rounds, lost, color=colour, label=policy)
    plt.xlabel("rounds")
    plt.ylabel("regret, mean of ten plays")
    plt.legend()
    save("regret")


def main() -> None:
    """All pictures."""
    with tempfile.TemporaryDirectory() as name:
        for draw in (learning, shrinkage, intervals, regret):
            draw(Path(name))


if __name__ == "__main__":
    main()
