#!/usr/bin/env bash
# Two crossed effects on data sets of lme4, against models without them: four fifths to learn from, the rest held out.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

run "python3 lme4.py InstEval '$out'"
run "python3 lme4.py VerbAgg '$out'"
save() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | sed -n '/held out =/p; /^random_effect.* sd/p; /^random_effect fit/p'"; }
fit="--fixed same --effect_l2 auto"

say "InstEval, marks that students gave lecturers: service, age and department only; names as features of gd; then" \
  "lmer(y ~ service + studage + lectage + dept + (1 | student) + (1 | lecturer))."
marks="-d '$out/InstEval.vw' --holdout_after 58737 --report rmse"
save marks_global "$marks --ignore sl"
save marks_gd "$marks"
save marks_effects "$marks --square $fit --random_effect student --random_effect lecturer"

say "VerbAgg, answers about swearing: trait anger, gender and kind of item only; names as features of gd; then" \
  "glmer(r2 ~ anger + gender + btype + situ + mode + (1 | person) + (1 | item), family = binomial)."
answers="-d '$out/VerbAgg.vw' --holdout_after 6067 --report logloss,auc"
save answers_global "$answers --loss_function logistic --ignore pi"
save answers_gd "$answers --loss_function logistic"
save answers_effects "$answers --logistic $fit --random_effect person --random_effect item"

run "python3 tables.py figures 'rmse held out' '$out'/marks_{global,gd,effects}.summary"
run "python3 tables.py figures 'logloss held out' 'auc held out' '$out'/answers_{global,gd,effects}.summary"
