#!/usr/bin/env bash
# Reaction times of 18 people on ten days of little sleep: what lme4's documentation fits, in one command each.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

run "python3 lme4.py sleepstudy '$out'"
run "head -n 2 '$out/sleepstudy.vw'"

fit="--square --fixed same"
told="grep -E '^random_effect(.subject [scn]| fit| .*(likelihood|criterion))'"

say "lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE): an intercept and a slope for each subject," \
  "their standard deviations, correlation and the noise estimated. lme4: 23.78, 5.717, 0.08, 25.592^2 = 654.94, and a" \
  "deviance of 1751.9."
run "vwlite $fit --random_effect subject:d --effect_l2 auto -d '$out/sleepstudy.vw' -f '$out/slopes.model' 2>&1 \\
    | tee '$out/slopes.summary' | $told"

say "The same by restricted maximum likelihood, lme4's default: 24.74, 5.922, 0.07, 654.94 and 1743.6."
run "vwlite $fit --random_effect subject:d --effect_l2 reml -d '$out/sleepstudy.vw' -f '$out/reml.model' 2>&1 \\
    | tee '$out/reml.summary' | $told"

say "Its fixed part is 251.405 + 10.467 Days in lme4. Here: a new subject, on days 0 and 1."
run "printf '|subject nobody |d days:0\n|subject nobody |d days:1\n' \\
    | vwlite -t -i '$out/slopes.model' --quiet --columns fixed -p - | tee '$out/fixed'"

say "lmer(Reaction ~ Days + (1 | Subject), sleepstudy): the published REML variances are 1378.18 and 960.46, and" \
  "intercepts: 308 is 40.784, 309 -77.850, 310 -63.109, 330 4.406."
run "vwlite $fit --random_effect subject --effect_l2 reml -d '$out/sleepstudy.vw' -f '$out/intercepts.model' 2>&1 \\
    | tee '$out/intercepts.summary' | $told"
run "printf '|subject 308\n|subject 309\n|subject 310\n|subject 330\n' \\
    | vwlite -t -i '$out/intercepts.model' --quiet --columns subject -p - | tee '$out/intercepts'"

say "Score, its parts and its standard deviation, for the first three rows of subject 308."
run "vwlite -t -i '$out/slopes.model' -d '$out/sleepstudy.vw' --quiet --columns score,fixed,subject,sd -p '$out/scores'"
run "head -n 3 '$out/scores'"
