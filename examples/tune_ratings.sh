#!/usr/bin/env bash
# 100,004 ratings of movies: a model of users and movies is tuned from the command line, and judged on a fifth of the
# ratings that no tuning has seen, beside what costs nothing: the mean.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

say "The ratings as text. A fifth of them is set apart."
run "python3 game/movies.py '$out'"
run "vwlite split '$out/split.vw' 0.8 0.2 -o '$out/ratings'"
train="'$out/ratings.1.vw'"
test="'$out/ratings.2.vw'"

say "What is in them?"
run "vwlite describe $train --top 5"

say "The baselines: the mean of all, and users and movies as features of the default learner."
rmse() { run "vwlite eval '$out/$1.model' -d $test --samples 0 | grep '^rmse'"; }
run "vwlite $train --bayes_linear --ignore umg --allow_empty -f '$out/mean.model' --quiet"
rmse mean
run "vwlite $train --ignore g -f '$out/gd.model' --quiet"
rmse gd

say "A number for each user and each movie, shrunk to their means: first as strongly as by one rating more, then as the" \
  "variances say that are estimated from the data (--effect_l2 auto)."
biases="--bayes_linear --fixed none --shrink mean --random_effect user --random_effect movie --sweeps 1 --ignore g"
run "vwlite $train $biases --effect_l2 user=1,movie=1 -f '$out/untuned.model' --quiet"
rmse untuned
run "vwlite $train $biases --effect_l2 auto -f '$out/estimated.model' --quiet"
rmse estimated

say "The search: how strong the shrinking is, and how much the ratings of frequent users and movies count, all four at" \
  "once, on a fifth of the other ratings. Then the model of the best values learns these, too. For new users, movies" \
  "are learned from the others and frozen."
ranges="--tune 'effect_l2.user=0.1..100 effect_l2.movie=0.1..100 count_weight.user=-1..1 count_weight.movie=-1..1'"
search="$train $biases $ranges --effect_l2 user=1,movie=1 --holdout 0.2 --metric rmse --evaluations 30 --by user --cold 0.2"
rm -f "$out/search.jsonl"  # of an earlier run: a trace is never overwritten
run "vwlite tune $search --trace '$out/search.jsonl' -f '$out/tuned.model' --quiet | tee '$out/tuned.txt'"
run "tail -n 1 '$out/search.jsonl' | sed 's/, .passes.*/}/'"
rmse tuned

say "A search that was killed leaves its trace, perhaps with half a line. It goes on, and finds the same."
run "head -c \$(( \$(sed -n 1,20p '$out/search.jsonl' | wc -c) + 40 )) '$out/search.jsonl' > '$out/killed.jsonl'"
run "vwlite tune $search --resume '$out/killed.jsonl' -f '$out/resumed.model' --quiet | cmp - '$out/tuned.txt' && echo identical"
run "vwlite diff '$out/tuned.model' '$out/resumed.model' --only weights,entities"

say "A new user rates five movies: the movies stay as they are. What would the user have given to others? (The taste is" \
  "that of user 15, under a new name.)"
run "grep '|user 15 ' '$out/split.vw' | sed 's/user 15 /user ann /' > '$out/ann.vw'"
run "sed -n 1,5p '$out/ann.vw' | vwlite -i '$out/tuned.model' --freeze movie -f '$out/with_ann.model' --quiet"
for model in tuned with_ann; do
  run "tail -n +6 '$out/ann.vw' | vwlite eval '$out/$model.model' -d - --samples 0 | grep '^rmse'"
done

say "Tastes: factors of users and genres. And both: earlier models as the start of a third one, which learns what they" \
  "leave. Their coefficients are those of ratings that none has learned."
run "vwlite split $train 0.75 0.15 0.1 --seed 2 -o '$out/part'"
run "vwlite '$out/part.1.vw' $biases --effect_l2 user=3.5,movie=2.5 -f '$out/biases.model' --quiet"
run "vwlite '$out/part.1.vw' --sgd --power_t 0 -l 0.0018 --l2 1e-4 --lrq ug3 --passes 8 --holdout_off -c -k \\
    --cache_file '$out/part.cache' -f '$out/tastes.model' --quiet"
run "vwlite '$out/part.3.vw' --residual '$out/biases.model' --residual '$out/tastes.model' --residual_fit '$out/part.2.vw' \\
    --sgd --power_t 0 -l 0.002 --ignore g -f '$out/both.model' 2>&1 | grep coefficient"
rmse biases
rmse tastes
rmse both

say "Is the tuned model better than the untuned one, and than the one whose shrinking was estimated, by more than chance?" \
  "Whole users are drawn: ratings of one resemble each other."
run "vwlite compare '$out/tuned.model' '$out/untuned.model' '$out/estimated.model' -d $test --resample user"

say "The report: metrics, effects with their intervals, and the users whose residuals are farthest from zero."
run "vwlite plot '$out/tuned.model' -d $test --by user -o '$out/ratings.html'"
