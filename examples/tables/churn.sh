#!/usr/bin/env bash
# Which customers leave? 7,043 customers of a telephone company, learned from a CSV on the command line.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/../common.sh"

say "The table: a customer a line, numbers and texts as they come. Eleven charges are missing."
run "python3 data.py '$out' churn"
run "head -n 2 '$out/churn.csv'"

churn="'$out/churn.csv' --label 'churn:binary(Yes)' --missing skip --loss_function logistic"
last="--holdout_after 5000 --report auc,logloss"
save() { run "vwlite $2 2>&1 | tee '$out/$1.summary' | grep '^auc.*held out\|^logloss'"; }

say "The label is named, all other columns are found by themselves. The last 2,043 customers are only predicted."
save gd "$churn $last"

say "Months and charges are numbers of very different size. --scale learns their means and spreads on the way."
save scaled "$churn $last --scale"

say "Bayesian logistic regression learns the same with honest uncertainty; on raw numbers it starts wildly, scaled it doesn't."
save raw_bayes "$churn $last --bayes_logistic"
save bayes "$churn $last --scale --bayes_logistic"

say "Learn from all customers and save. The model keeps what the columns are, and their statistics."
run "vwlite $churn --scale --bayes_logistic --link logistic --quiet -f '$out/churn.model'"
run "vwlite '$out/churn.csv' -t -i '$out/churn.model' --quiet --columns prediction,low,high --interval 0.95 -p '$out/risk'"
run "head -n 3 '$out/risk'"

say "Who is likely to leave? The customers with the highest lower ends."
run "tail -n +2 '$out/churn.csv' | paste -d' ' '$out/risk' - | sort -g -r -k2,2 | head -n 3 | cut -c1-100 || true"
