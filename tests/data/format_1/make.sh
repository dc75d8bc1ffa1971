#!/usr/bin/env bash
# Made the files of this folder, with vwlite 0.1.0 at commit 9e73b1a as `vwlite` on the PATH. Not to be run again with a
# later version: the files are here because later versions must read them.
set -euo pipefail
cd "$(dirname "$0")"

python3 - <<'PYTHON'
import random

r = random.Random(1)
users = [f"u{i}" for i in range(12)]


def features():
    return " ".join(f"x{r.randrange(9)}:{r.uniform(-1, 2):.3f}" for _ in range(3))


def line(label):
    return f"{label} t{r.randrange(100)}|user {r.choice(users)} |x {features()} |y k{r.randrange(4)} w"


def decision(i):
    costs = [r.random() < 0.3 + 0.1 * action for action in range(3)]
    chosen = r.randrange(3)
    rows = [f"shared s{i}|s c{i % 3}"]
    for action in range(3):
        label = f"0:{-int(costs[action])}:0.3333 " if action == chosen else ""
        rows.append(f"{label}|a item{action}")
    return "\n".join(rows) + "\n"


def write(name, lines):
    with open(name, "w") as file:
        file.writelines(text + "\n" for text in lines)


write("lines.vw", [line(r.choice((-1, 1))) for _ in range(120)])
write("more.vw", [line(r.choice((-1, 1))) for _ in range(40)])
write("probe.vw", [line("") for _ in range(20)])
write("decisions.vw", [decision(i) for i in range(60)])
write("decisions_probe.vw", [f"shared p{i}|s c{i % 3}\n" + "\n".join(f"|a item{a}" for a in range(3)) + "\n" for i in range(9)])
PYTHON

train() { # NAME FLAGS...: a model, and what it predicts of probe.vw
  local name=$1
  shift
  vwlite --quiet lines.vw -f "$name.model" "$@"
  vwlite --quiet -t -i "$name.model" probe.vw -p "$name.expected"
}

decide() { # NAME FLAGS...: a model of decisions, and its scores of decisions_probe.vw
  local name=$1
  shift
  vwlite --quiet decisions.vw -f "$name.model" --bayes_linear -q sa "$@"
  vwlite --quiet -t -i "$name.model" --explore greedy decisions_probe.vw -r "$name.expected"
}

train linear --loss_function logistic -q xy -b 12
train flat --bayes_linear --ignore u
train effects --bayes_linear --random_effect user:x
train same --bayes_logistic --random_effect user --fixed same --shrink mean --effect_l2 auto --batch_size 7
train stored --bayes_logistic --random_effect user:x --posterior diagonal --entity_limit 5
train embedding --bayes_logistic --fixed_effect linear.model --offset_scale fit
decide thompson --thompson
decide epsilon --explore epsilon --epsilon 0.1

# cached.blocks is the cache of cached.vw
vwlite --quiet cached.vw --cache_file cached.blocks

# a daemon with a journal that was killed: a checkpoint, and lines learned after it
vwlite --daemon --foreground --bayes_linear --random_effect user:x --journal journal --socket daemon.socket 2>daemon.log &
daemon=$!
until [[ -S daemon.socket ]]; do read -rt 0.1 <> <(:) || true; done
vwlite client --quiet --socket daemon.socket <lines.vw >daemon.answers
printf '!save\n' | vwlite client --quiet --socket daemon.socket >/dev/null
vwlite client --quiet --socket daemon.socket <more.vw >>daemon.answers
vwlite client --quiet --socket daemon.socket <probe.vw >journal.expected
kill -KILL "$daemon"
wait "$daemon" || true
rm -f daemon.socket daemon.log daemon.answers journal/*-shm
