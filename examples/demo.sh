#!/usr/bin/env bash
# Trains on real data, saves the model, loads it again and scores it on data it has not seen.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

say "Is a web page a phishing page? One pass over 875 of them; --invert_hash writes the weights as text, by name."
run "vwlite --loss_function logistic -d data/phishing_train.vw.gz -f '$out/phishing.safetensors' --invert_hash '$out/phishing.txt'"

say "The features with the largest weights for phishing: namespace^feature:index:weight"
run "grep '^page' '$out/phishing.txt' | sort -t : -k 3,3gr | sed 5q"

say "Load the model and predict 375 other pages, as probabilities, without learning."
run "vwlite -t -i '$out/phishing.safetensors' -d data/phishing_test.vw.gz -p '$out/phishing.predictions' --link logistic"

say "The held-out score."
run "python3 score.py logistic data/phishing_test.vw.gz '$out/phishing.predictions'"

say "Numbers instead of names: 30 measures of a tumour, from 0.001 to 4254, which need no scaling."
run "vwlite --quiet --loss_function logistic -d data/breast_cancer_train.vw.gz -f '$out/cancer.safetensors'"
run "vwlite --quiet -t -i '$out/cancer.safetensors' -d data/breast_cancer_test.vw.gz -p '$out/cancer.predictions' --link logistic"
run "python3 score.py logistic data/breast_cancer_test.vw.gz '$out/cancer.predictions'"

say "A stream through a pipe: each day's approval rate is predicted before it is learned."
run "gzip -cd data/trump_approval.vw.gz | vwlite -p '$out/approval.predictions' -f '$out/approval.safetensors'"
run "python3 score.py squared data/trump_approval.vw.gz '$out/approval.predictions'"

say "The metadata of a model file."
run "vwlite inspect '$out/phishing.safetensors'"
