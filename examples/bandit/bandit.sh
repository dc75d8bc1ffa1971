#!/usr/bin/env bash
# Contextual bandits: policies compared in simulations, then a shop that logs, learns and decides again.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

plot() { printf ' --plot %s' "'$out/$1.png'"; }
if ! python3 -c 'import matplotlib' 2>/dev/null; then
  say "Without matplotlib there are no plots: pip install matplotlib"
  plot() { :; }
fi

say "Ten actions, one of them better: the regret of five policies. The mean of ten simulations."
run "vwlite simulate arms --quiet$(plot arms) | tee '$out/arms.table'"

say "Ads for users, few of them clicked, and clicks known after 200 rounds only: less exploration pays here."
run "vwlite simulate ads --rounds 5000 --delay 200 --policies thompson:0.5,ucb,epsilon:0.02,greedy,random --quiet$(plot ads) \\
    | tee '$out/ads.table'"

shop="--bayes_logistic -q ui"

say "A shop: visitors as decisions between four items. Nothing is known yet, so they are shown at random."
run "python3 shop.py visits 0 3000 > '$out/visits'"
run "head -n 6 '$out/visits'"
run "vwlite --explore uniform --quiet -d '$out/visits' -p '$out/choices'"
run "head -n 1 '$out/choices'"

say "The item shown is logged with its probability and its cost: -1 is a sale."
run "python3 shop.py join '$out/visits' '$out/choices' > '$out/log'"
run "head -n 6 '$out/log'"

say "Thompson sampling learns from the log, through a pipe. The summary says what it would have cost by that log: by" \
  "inverse propensity scores, self-normalised, and doubly robust."
run "cat '$out/log' | vwlite --thompson $shop -f '$out/shop.model' 2>&1 | tee '$out/learned.summary' | sed -n '/^finished/,\$p'"

say "The model's decisions for new visitors, and their true expected cost, which the shop doesn't know."
run "python3 shop.py visits 3000 3000 > '$out/later'"
run "vwlite -t -i '$out/shop.model' --quiet -d '$out/later' -p '$out/decided'"
run "head -n 1 '$out/decided'"
run "python3 shop.py worth '$out/decided' | tee '$out/decided.worth'"
run "python3 shop.py worth '$out/choices' | tee '$out/choices.worth'"

say "An estimate of the same from the log of other visitors, who were shown items at random."
run "vwlite --explore uniform --random_seed 1 --quiet -d '$out/later' -p '$out/random'"
run "python3 shop.py join '$out/later' '$out/random' > '$out/later.log'"
run "vwlite -t -i '$out/shop.model' -d '$out/later.log' 2>&1 | tee '$out/tested.summary' | grep '^ips\|^snips\|^dr\|^effective'"

say "A decision reproduced: the draw is a function of the seed and the tag, at any position of the decision."
run "grep -A 5 \"'v4321|\" '$out/later' | vwlite -t -i '$out/shop.model' --quiet -p - | tee '$out/again'"
run "grep 'v4321\$' '$out/decided'"

say "Stopped half-way, saved, loaded, resumed: the decisions of one run, to the last digit."
run "head -n 9000 '$out/log' | vwlite --thompson $shop --quiet -f '$out/half.model'"
run "tail -n +9001 '$out/log' | vwlite -i '$out/half.model' --quiet -f '$out/both.model'"
run "vwlite -t -i '$out/both.model' --quiet -d '$out/later' -p '$out/decided_again'"
run "cmp '$out/decided' '$out/decided_again' && echo identical"

say "Sales become known later: decide for an hour with the model so far, then learn what came of it. Six hours from" \
  "nothing; the probabilities that are logged are those of the draws."
run "vwlite --thompson $shop --quiet -d /dev/null -f '$out/live.model'"
for hour in 0 1 2 3 4 5; do
  run "python3 shop.py visits $((10000 + 300 * hour)) 300 > '$out/hour'"
  run "vwlite -t -i '$out/live.model' --quiet -d '$out/hour' -p '$out/hour.choices'"
  run "python3 shop.py join '$out/hour' '$out/hour.choices' | vwlite -i '$out/live.model' --quiet -f '$out/live.model'"
  run "python3 shop.py worth '$out/hour.choices' | tee -a '$out/hours.worth'"
done

say "Which policy would have learned best? The log of random choices, replayed: a decision counts if the policy would" \
  "have shown the same item."
run "vwlite simulate '$out/log' --policies thompson,ucb,epsilon,greedy,random --quiet -- -q ui | tee '$out/replay.table'"
