#!/usr/bin/env bash
# Which policy should a shop use? Three are learned from one log of decisions and judged by another one, before any of
# them has shown an item to anyone. The truth about one policy is known, and checks the estimates.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

say "Two logs of a fashion shop, of the same week: one item of 34 is shown, and clicked or not. One log is of a policy that" \
  "showed all items alike, the other of the shop's own policy, Thompson sampling."
run "python3 bandit/obd.py '$out'"
run "cd '$out'"
run "grep -m 1 -B 13 -A 1 '^[0-9]' thompson.vw"
random=random.vw
thompson=thompson.vw

say "Three policies, learned from the shop's log: the most popular items; items by user and place; and Thompson sampling of" \
  "items and their kinds, which explores more."
run "vwlite $thompson --cb_explore_adf --epsilon 0.1 --ignore kup -f popular.model --quiet"
run "vwlite $thompson --cb_explore_adf --epsilon 0.1 -q ui -q pi -f personal.model --quiet"
run "vwlite $thompson --thompson --bayes_logistic --l2 10 --ignore up -f exploring.model --report learned.html --quiet"

say "Judged by the other log, which none has learned. First what that log cost itself: a click is -1."
models="popular.model personal.model exploring.model"
run "vwlite policies $random $models --uniform --arms item | tee by_random.txt"

say "All intervals of the differences to the log hold 0: 10,000 decisions with 46 clicks do not say that any of the three is" \
  "better. Those of the exploring policy are narrower: it is nearer to the log, so more decisions count."

say "The other way round: policies that were learned from the random log, judged by the shop's own."
run "vwlite $random --cb_explore_adf --epsilon 0.1 --ignore kup -f popular_too.model --quiet"
run "vwlite policies $thompson popular_too.model --uniform --arms item | tee by_thompson.txt | sed '/^arm/,/^and/d'"

say "Few decisions count, because the shop hardly ever showed what this policy prefers: such a log can't judge it. What the" \
  "uniform policy costs is known: it has been tried, at -0.0046 (above). The intervals hold that."

say "Why does the model choose an item? Its decision, for the first user of the log."
run "sed -n '1,/^\$/p' $random > first.vw"
run "vwlite explain exploring.model first.vw --top 3 | sed -n 1,12p"

say "The first comparison as a page."
run "vwlite policies $random $models --uniform --arms item --json > by_random.json"
run "vwlite plot by_random.json -o policies.html"
