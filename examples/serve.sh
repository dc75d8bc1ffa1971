#!/usr/bin/env bash
# Models behind HTTP: an uploaded River pipeline, labels that come later, a bandit with delayed rewards, metrics, the page.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

serve="vwlite serve --daemon --dir '$out/models' --port 0 --port_file '$out/port' --pid_file '$out/pid' --quiet"
json="-H 'Content-Type: application/json'"
trap 'kill "$(cat "$out/pid" 2>/dev/null)" 2>/dev/null || true' EXIT

say "A service in the background, which keeps its models in a folder: the command returns when clients can connect."
run "$serve"
url="http://localhost:$(cat "$out/port")"

say "River's own client uploads a pipeline, learns 500 examples of phishing web sites, and asks for the metrics. Half of the" \
  "labels come later, by the identifier of the prediction."
run "python3 serve_client.py $url"

say "A model of the command line's flags. The answer to an example is the prediction before it was learned."
run "curl -s -X PUT $url/v1/models/click $json -d '{\"options\": \"--bayes_logistic --link logistic\"}'; echo"
run "curl -s $url/v1/models/click:learn $json -d '{\"features\": {\"city\": \"Bonn\", \"price\": 2.5}, \"label\": true}'; echo"

say "A prediction is remembered under an identifier, and its label comes later."
run "curl -s $url/v1/models/click:predict $json -d '{\"features\": {\"city\": \"Rome\"}, \"id\": \"order-7\"}'; echo"
run "curl -s $url/v1/models/click:label $json -d '{\"id\": \"order-7\", \"label\": false}'; echo"

say "A bandit chooses among two articles for 400 visits. Each visitor likes one of them; the rewards come ten visits later."
run "python3 serve_bandit.py $url"

say "The service is killed, and started again: nothing that was answered is lost."
run "kill -9 \$(cat '$out/pid'); rm '$out/pid'"
run "$serve"
url="http://localhost:$(cat "$out/port")"
run "curl -s $url/v1/models | python3 -c 'import json, sys; [print(m[\"name\"], m[\"examples\"]) for m in json.load(sys.stdin)[\"models\"]]'"

say "Figures for Prometheus, and the page to look at: open the address in a browser."
run "curl -s $url/metrics | grep '^vwlite_loss{'"
run "curl -s $url/ | grep -o '<title>.*</title>'"

say "On a signal to end, it answers what has come, saves, and ends."
run "kill \$(cat '$out/pid'); while [[ -e '$out/pid' ]]; do :; done"
