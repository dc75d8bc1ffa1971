#!/usr/bin/env bash
# A model is audited by a stranger who has only its file: where it comes from, whether that is true, how good it is, why
# it predicts what it predicts, and whether it does so without vwlite. Then it is given away without its history.
# Every command is printed before it runs; its files go to the folder named on the command line, or a new one.
source "$(dirname "$0")/common.sh"

cat > "$out/makers.toml" <<'TEXT'
loss_function = "logistic"
link = "logistic"
[card]
intended_use = "Says whether a web page is a phishing page, for warnings that a person can pass over."
out_of_scope = "Blocking pages without a person."
contact = "phishing@example.org"
TEXT

say "Its makers train it, with a note and the texts of their card, and hand over the file."
run "vwlite --quiet --config '$out/makers.toml' -d data/phishing_train.vw.gz -f '$out/phishing.model' \
  --invert_hash '$out/names.txt' --note owner=web-team"

say "Where does it come from?"
run "vwlite inspect '$out/phishing.model' --journal"

say "Is that true? Trained again from the journal, it has to be the same bit for bit."
run "vwlite replay '$out/phishing.model' --check"

say "Would it be better with another penalty? The journal is replayed with it."
run "vwlite replay '$out/phishing.model' --set l2=1e-3 -o '$out/other.model'"
run "vwlite diff '$out/phishing.model' '$out/other.model' --only options,weights --top 3 || true"

say "How good is it on pages that it has not seen?"
run "vwlite eval '$out/phishing.model' -d data/phishing_test.vw.gz --samples 200 | sed -n 1,14p"

say "Why does it warn of this page?"
run "gzip -cd data/phishing_test.vw.gz | sed -n 1p > '$out/page.vw'"
run "vwlite explain '$out/phishing.model' '$out/page.vw' --top 4"

say "The same prediction without vwlite."
run "vwlite export '$out/phishing.model' --to python -o '$out/phishing_model.py'"
run "(cd '$out' && python3 -S -c 'import phishing_model; print(phishing_model.predict(open(\"page.vw\").read()))')"

say "All of that in one document."
run "vwlite card '$out/phishing.model' -d data/phishing_test.vw.gz --samples 200 -o '$out/card.html'"

say "A copy for the public: without journal, names, notes and paths, with the sha256 of what was removed."
run "vwlite strip '$out/phishing.model' -o '$out/public.model' --save_journal '$out/journal.json'"
run "sha256sum '$out/journal.json'"
