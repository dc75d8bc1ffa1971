#!/usr/bin/env bash
# Which flights are late? 327,346 flights from New York in the order of time, from a CSV and from a database.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
# A second word is the URL of a PostgreSQL database: its table "flights" is made anew, and learned from.
source "$(dirname "$0")/../common.sh"

say "The flights that landed."
run "python3 data.py '$out' flights"
run "head -n 2 '$out/flights.csv'"

map="--columns_in 'time_hour:date(month,dow,days) hour:category distance:number dep_delay:ignore /.*/:auto'"
late="--label 'arr_delay:above(15)' --loss_function logistic --report auc,logloss"
save() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | grep '^auc\|^logloss'"; }

say "More than a quarter of an hour late? Each flight is predicted before it is learned."
save csv "'$out/flights.csv' $map $late -p '$out/csv'"

say "Pairs of all columns: the hour on this weekday, the carrier at this airport."
save pairs "'$out/flights.csv' $map $late -q ::"

if [[ -n ${2:-} ]]; then
  say "The same from PostgreSQL: rows come in chunks, in the order of the query."
  run "python3 database.py '$2' '$out/flights.csv'"
  save sql "-d '$2 SELECT * FROM flights ORDER BY place' --columns_in 'place:ignore' $map $late -p '$out/sql'"
  run "cmp '$out/csv' '$out/sql' && echo identical"
fi
