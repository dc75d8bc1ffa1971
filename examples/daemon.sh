#!/usr/bin/env bash
# A daemon that learns while it serves, is killed, and recovers without loss.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

train="data/phishing_train.vw.gz"
serve="vwlite --port 0 --port_file '$out/port' --pid_file '$out/pid' --loss_function logistic --link logistic"
serve+=" --journal '$out/journal' -f '$out/daemon.model' --quiet"
client="vwlite client --port \$(cat '$out/port') --quiet"
trap 'kill "$(cat "$out/pid" 2>/dev/null)" 2>/dev/null || true' EXIT

say "A daemon in the background: the command returns when clients can connect."
run "$serve"

say "The first 500 lines, learned through the socket. Each is answered with the prediction before it was learned."
run "gzip -dc '$train' > '$out/train'; head -n 500 '$out/train' > '$out/first'"
run "$client '$out/first' > '$out/first.answers'"
run "head -n 3 '$out/first.answers'"

say "The daemon is killed."
run "kill -9 \$(cat '$out/pid'); rm '$out/pid'"

say "Started again with the same command, it recovers from its journal; the other lines follow."
run "$serve"
run "tail -n +501 '$out/train' > '$out/second'"
run "$client '$out/second' > '$out/second.answers'"
run "$client --send '!stats' | tr ',' '\\n' | grep -E 'examples|average_loss|entries'"

say "On a signal to end, it saves the model and exits."
run "kill \$(cat '$out/pid'); while [[ -e '$out/pid' ]]; do :; done"

say "An uninterrupted run over the same lines made the same predictions and the same model."
run "vwlite --loss_function logistic --link logistic --quiet -d '$out/train' -p '$out/run.answers' -f '$out/run.model'"
run "cat '$out/first.answers' '$out/second.answers' | cmp - '$out/run.answers' && echo identical"
run "for model in daemon run; do vwlite -t -i '$out'/\$model.model --quiet -d data/phishing_test.vw.gz -p '$out'/\$model.p; done"
run "cmp '$out/daemon.p' '$out/run.p' && echo identical"
