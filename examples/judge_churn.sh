#!/usr/bin/env bash
# Which customers leave? A CSV of 7,043 customers of a telephone company is described, learned, judged and reported. The
# quarter that judges is never seen by what chooses.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

say "The table: a customer a line. A quarter of them is set apart, chosen by their names."
run "python3 tables/data.py '$out' customers"
run "head -n 2 '$out/customers.csv'"
run "vwlite split '$out/customers.csv' 0.75 0.25 --by customer -o '$out/customers'"
train="'$out/customers.1.csv'"
test="'$out/customers.2.csv'"

say "What is in it, what looks wrong, and what to start with?"
run "vwlite describe $train --label churn"

say "That advice as a file, and the first model. It keeps the names of the features with their counts and ranges."
cat > "$out/churn.toml" <<'TEXT'
columns_in = ["customer:ignore", "/.*/:auto"]
label = "churn:binary(Yes)"
loss_function = "logistic"
link = "logistic"
names = "stats"
[card]
intended_use = "Says which customers may leave, so that somebody calls them."
out_of_scope = "Prices: a customer must not pay more for being likely to stay."
limitations = "A table of one moment, published by IBM; nothing in it says when a customer left."
TEXT
flags="--config '$out/churn.toml'"
run "vwlite $flags $train -f '$out/first.model' 2>&1 | grep 'loss ='"

say "Its metrics on the customers that it has not seen, with intervals, and those of each contract."
run "vwlite eval '$out/first.model' -d $test --by contract"

say "The bias is above zero: it predicts too many leavers. Are months and charges to blame, whose sizes differ by a" \
  "thousand? --scale divides them by what is learned of their spread. Eight settings, from one reading of the table."
run "vwlite sweep $flags $train --scale --grid 'l=.05,.1,.5,2 power_t=0,.5' -f '$out/swept.model' | sed '1d; s/  *[^ ]*$//'"

say "Bayesian logistic regression has no learning rate. Each customer is predicted by the model of five that has not" \
  "learned it."
bayes="$flags --scale --bayes_logistic"
run "vwlite cv $bayes $train -p '$out/folds.txt' | sed -n '/^over/,/^bias/p'"

say "All three on the customers set apart. Intervals are of the differences."
run "vwlite $bayes $train -f '$out/bayes.model' --report '$out/training.html' 2>&1 | grep 'loss ='"
run "vwlite compare '$out/first.model' '$out/swept.model' '$out/bayes.model' -d $test"

say "Where does the best of them come from, and is that true? Trained again from its journal, it has to be the same."
run "vwlite inspect '$out/bayes.model' --journal | grep '^  data\|^  examples\|^  loss'"
run "vwlite replay '$out/bayes.model' --check"

say "Who is likely to leave, how sure is that, and why?"
run "vwlite -t -i '$out/bayes.model' $test --interval 0.95 --columns prediction,low,high -p '$out/risk.txt' --quiet"
run "paste -d, '$out/risk.txt' <(tail -n +2 $test) | sort -g -r -k2,2 > '$out/ranked.txt'"
run "sed -n 1,3p '$out/ranked.txt' | cut -d, -f1-9"
run "grep -e ^customer -e \"^\$(sed -n 1p '$out/ranked.txt' | cut -d, -f2),\" $test > '$out/likely.csv'"
run "vwlite explain '$out/bayes.model' '$out/likely.csv' --top 5"

say "For those who don't read tables: pictures, and the card, each in one file."
run "vwlite plot '$out/bayes.model' -d $test --by contract -o '$out/churn.html'"
run "vwlite card '$out/bayes.model' -d $test -o '$out/card.html'"
run "ls '$out' | grep html"
