# Cases of the report, `descent lr-find` and `descent compare`, read by program.sh.

# report_data DIR FILE: the JSON inside of a report.
report_data() {
  python3 - "$1/report.html" >"$2" <<'END'
import json, re, sys
page = open(sys.argv[1], encoding="utf-8").read()
found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
assert len(found) == 1, f"{len(found)} elements with data"
print(json.dumps(json.loads(found[0]), indent=1))
END
}

test_report() {
  flowers 150
  sed -i 's/^length,/<\/script><b>,/' flowers.csv
  run 0 train --data flowers.csv --target kind --epochs 5 --out run
  report_data run first.json || fail "the data in the report"
  lacks run/report.html '</script><b>'
  has first.json '"title": "mlp on flowers.csv"'
  has first.json '"split": "valid"'
  has first.json '"name": "0.weight"'
  has first.json '"finished"'
  has run/summary.json '"confusion"'
  cp run/report.html first.html
  rm run/report.html
  run 0 report run
  [ "$(cat out)" = run/report.html ] || fail "it does not say where"
  report_data run second.json || fail "the data in the report"
  for what in curves summary config shown; do
    for file in first second; do
      python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' $file.json $what >$file.part
    done
    same first.part second.part
  done
  run 2 report nowhere
  has err 'there is no run here'
}

# A run that did not end well has a report, too.
test_report_of_a_diverged_run() {
  flowers 60
  run 4 train --data flowers.csv --target kind --epochs 50 --optimizer sgd --lr 1e12 --out run
  report_data run data.json || fail "the data in the report"
  has data.json '"reason": "diverged: step '
  run 0 report run
}

# In a browser: all charts are drawn, nothing is said on the console, nothing is fetched.
test_report_in_a_browser() {
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
  [ -n "$browser" ] || exit 0
  flowers 150
  sed -i 's/^length,/<\/script><b>,/' flowers.csv
  run 0 train --data flowers.csv --target kind --epochs 5 --set train.log_every=1 --out run
  HOME=$work "$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$work/browser" \
    --enable-logging=stderr --virtual-time-budget=3000 --dump-dom "file://$work/run/report.html" \
    >dom 2>err </dev/null || fail "$browser"
  lacks err CONSOLE
  has dom 'class="uplot'
  charts=$(grep -o 'class="uplot' dom | wc -l)
  [ "$charts" -ge 7 ] || fail "$charts charts"
  [ "$(grep -o '<canvas' dom | wc -l)" -eq "$charts" ] || fail "not a canvas for each chart"
  has dom 'Confusion matrix (test)'
  has dom '0.weight'
  lacks dom '<b></b>'
}

test_lr_find() {
  flowers 300
  run 0 lr-find --data flowers.csv --target kind --optimizer sgd --plot curve.svg
  grep -qE '^suggestion [0-9.e-]+ +where the loss falls fastest' out || fail "no suggestion"
  has out 'careful'
  has curve.svg '<svg'
  [ ! -e runs ] || fail "a run directory was left"
  run 0 lr-find --data flowers.csv --target kind --repeats 3 --steps 60 --json
  is_json out
  python3 -c '
import json
found = json.load(open("out"))
assert 1e-7 <= found["suggestion"] <= 1, found["suggestion"]
assert found["suggestion"] <= found["lowest_loss_at"]
assert len(found["points"]) <= 60' || fail "the suggestion"
  cp out first
  run 0 lr-find --data flowers.csv --target kind --repeats 3 --steps 60 --json --threads 1
  same out first
  run 0 lr-find --data flowers.csv --target kind --max 1e-6
  has out 'suggestion none: the loss does not fall'
  run 2 lr-find --data flowers.csv --target kind --min 1 --max 0.1
  has err 'no range'
  run 2 lr-find --data flowers.csv --target kind --plot curve.jpg
}

test_compare() {
  flowers 150
  printf '[data]\npath = "flowers.csv"\ntarget = "kind"\n[train]\nepochs = 3\n' >job.toml
  run 0 compare job.toml --set optimizer.name=sgd,adam --set optimizer.momentum=0,0.9 --seeds 2 \
    --out both
  has err 'adam has no momentum'
  has out '+-'
  [ "$(grep -cE '^ *[123]  ' out)" -eq 3 ] || fail "not three rows"
  for name in adam 'sgd_momentum=0' 'sgd_momentum=0.9'; do
    for seed in 1 2; do
      for file in report.html metrics.jsonl model.safetensors; do
        [ -s "both/$name-seed$seed/$file" ] || fail "$name-seed$seed/$file is missing"
      done
    done
  done
  has both/compare.svg '<svg'
  is_json both/compare.json
  run 2 compare job.toml --set optimizer.name=sgd,adam --out both
  has err 'there is a comparison already'
  run 0 compare job.toml --set optimizer.name=sgd,adam --out both --overwrite --json
  is_json out
  has out '"label": "adam"'
  # The same as a training of its own.
  run 0 train job.toml --optimizer adam --out alone
  same alone/model.safetensors both/adam/model.safetensors
  # Runs share their data where options of the data and seed are the same, and only there.
  run 0 compare job.toml --set optimizer.name=sgd,adam --set data.normalize=standard,none --seeds 2 \
    --out shared
  for normalize in standard none; do
    for seed in 1 2; do
      run 0 train job.toml --optimizer adam --set data.normalize=$normalize --seed $seed --out own \
        --overwrite
      same own/model.safetensors "shared/adam_normalize=$normalize-seed$seed/model.safetensors"
    done
  done
  run 2 compare job.toml --set optimizer.name=sgd,adma
  has err 'did you mean "adam"?'
  run 2 compare job.toml --set optimizer.name=sgd,adam --set optimizer.momentun=1
  run 2 compare job.toml --set optimizer.lr=0.1,fast
}

# One that diverges is a row like any other.
test_compare_diverged() {
  flowers 60
  run 0 compare --data flowers.csv --target kind --optimizer sgd --set optimizer.lr=0.1,1e12 \
    --set train.epochs=20 --out both --json
  is_json out
  python3 -c '
import json
ranking = json.load(open("out"))["ranking"]
assert [r["label"] for r in ranking] == ["lr=0.1", "lr=1e12"], ranking
assert [r["diverged"] for r in ranking] == [0, 1]
assert ranking[1]["runs"][0]["reason"].startswith("diverged: step")' || fail "the ranking"
}
