#!/usr/bin/env bash
# 100,004 ratings of 9,066 movies by 671 users: a model for each user and each movie, in batches and as a stream.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

say "The ratings as text, in several cuts; all are of the kind LABEL |user U |movie M |genre G1 G2"
run "python3 movies.py '$out'"
run "head -n 3 '$out/split.vw'"

split="-d '$out/split.vw' --holdout_after 80003 --report rmse"
batch="--square --fixed none --shrink mean --effect_l2 auto"
save() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | sed -n '/^rmse held out/p; /^random_effect.*sd/p'"; }

say "Learn from four fifths, measure on the rest. Without users and movies first: the mean, and what genres add to it."
save mean "$split --ignore um --ignore g --allow_empty"
save genres "$split --ignore um"

say "gd alone, with users and movies as ordinary features."
save gd "$split --ignore g"

say "A number for each user: lme4's (1 | user), shrunk to the mean of all users as much as the data say."
save users "$split $batch --random_effect user --sweeps 10 --ignore mg"

say "And one for each movie, in one command. --sweeps fits users and movies in turn."
save users_movies "$split $batch --random_effect user --random_effect movie --sweeps 10 --ignore g"

say "And a taste for each genre for each user: (1 + genres | user) + (1 | movie)."
save tastes_movies "$split $batch --random_effect user:genre --random_effect movie --sweeps 10"

say "Did they like it, that is, give more than 3? The area under the curve, over all ratings and as the mean over users."
liked="-d '$out/liked.vw' --holdout_after 80003 --report auc,auc:user"
auc() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | grep '^auc.*held out'"; }
auc liked_genres "$liked --loss_function logistic --ignore um"
auc liked_users_movies "$liked --bayes_logistic --random_effect user --random_effect movie --ignore g"

say "The log in the order of time, once, each rating predicted before it is learned; sd is the prediction's standard deviation."
stream="--bayes_linear --random_effect user --random_effect movie --ignore g"
parts="--columns prediction,sd,user,movie"
run "vwlite $stream -d '$out/time.vw' --report rmse $parts -p '$out/whole' -f '$out/whole.model' 2>&1 \\
    | tee '$out/stream.summary' | grep '^rmse\|^random_effect.*sd'"
run "tail -n 2 '$out/whole'"

say "Errors are smaller where the standard deviation is smaller."
run "python3 tables.py spread '$out/time.vw' '$out/whole'"

say "Tastes drift. Forgetting a twentieth of the posterior with each rating of a user or movie:"
run "vwlite $stream --forget 0.95 -d '$out/time.vw' --report rmse 2>&1 | tee '$out/forgetting.summary' | grep '^rmse'"

say "Stopped half-way, saved, loaded, resumed: the result of one run, to the last digit."
run "vwlite $stream --quiet -d '$out/time_1.vw' $parts -p '$out/first' -f '$out/half.model'"
run "vwlite -i '$out/half.model' --quiet -d '$out/time_2.vw' $parts -p '$out/second' -f '$out/both.model'"
run "cat '$out/first' '$out/second' | cmp - '$out/whole' && echo identical"

say "Both models, loaded, predict the same for every rating."
run "vwlite -t -i '$out/whole.model' --quiet -d '$out/split.vw' $parts -p '$out/once'"
run "vwlite -t -i '$out/both.model' --quiet -d '$out/split.vw' $parts -p '$out/twice'"
run "cmp '$out/once' '$out/twice' && echo identical"

say "134 new users: movies as learned from the others (--freeze), users from their first 0 to 15 ratings."
run "vwlite $stream --quiet -d '$out/warm.vw' -f '$out/cold_00.model'"
for k in 01 03 05 10 15; do
  run "vwlite -i '$out/cold_00.model' --freeze movie --quiet -d '$out/cold_$k.vw' -f '$out/cold_$k.model'"
done
say "Their other ratings:"
for k in 00 01 03 05 10 15; do
  run "vwlite -t -i '$out/cold_$k.model' -d '$out/later.vw' --report rmse,rmse:user > '$out/cold_$k.summary' 2>&1"
done
run "python3 tables.py figures 'rmse held out' 'rmse by user held out' '$out'/cold_*.summary"

say "Held-out RMSE of the ratings, once more."
run "python3 tables.py figures 'rmse held out' '$out'/{mean,genres,gd,users,users_movies,tastes_movies}.summary"
