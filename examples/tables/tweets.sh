#!/usr/bin/env bash
# Which of two telephones was a tweet written on? Text classification from a CSV, in the order of time.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

say "Tweets with their time and device."
run "python3 data.py '$out' tweets"
run "head -n 2 '$out/tweets.csv'"

map="--columns_in 'id_str:tag text:text created_at:date(hour,dow) /.*/:ignore'"
tweets="-d '$out/tweets.csv' --label 'source:binary(Twitter for Android)' $map --loss_function logistic"
save() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | grep '^auc\|^logloss'"; }

say "Each word is a feature, and so are the hour and the weekday. Each tweet is predicted before it is learned."
save words "$tweets --report auc,logloss --ftrl"

say "Pairs of neighbouring words, which don't help where tweets are so few:"
save pairs "$tweets --report auc,logloss --ftrl --transform 'text^*:ngrams(2)'"

say "What it goes by: the largest weights by name. Android is positive."
run "vwlite $tweets --quiet --ftrl --invert_hash '$out/weights'"
run "grep '^text^' '$out/weights' | sort -t: -k3,3 -g | sed -n '1,5p;\$p' | cut -d: -f1,3"
