#!/bin/sh
# The program from end to end, as scripts use it: program.sh PROGRAM SOURCE-TREE CASE [VERSION]
# Every function test_NAME is a case of its own; CMakeLists.txt finds them by name.
set -eu
program=$1 source=$2 case=$3 version=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "FAILED: $*"
  for file in out err; do [ ! -s "$file" ] || sed "s/^/$file: /" "$file" | head -n 40; done
  exit 1
}
# run CODE ARGUMENTS...: runs the program; stdout and stderr go to the files out and err.
run() {
  expected=$1 code=0
  shift
  "$program" "$@" >out 2>err </dev/null || code=$?
  [ "$code" -eq "$expected" ] || fail "descent $*: exit code $code, not $expected"
}
has() { grep -qF -e "$2" "$1" || fail "$1 has no \"$2\""; }
lacks() { ! grep -qF -e "$2" "$1" || fail "$1 has \"$2\""; }
empty() { [ ! -s "$1" ] || fail "$1 is not empty"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
is_json() { python3 -m json.tool "$1" >/dev/null || fail "$1 is not JSON"; }
rows() { wc -l <"$1" | tr -d ' '; }

# flowers N: N rows of three classes that two numbers tell apart.
flowers() {
  awk -v n="$1" 'BEGIN {
    print "length,width,kind"
    for (i = 0; i < n; ++i) {
      k = i % 3
      print k * 2 + (i * 7 % 10) / 10 "," 5 - k + (i * 3 % 10) / 10 "," substr("irisrosetulip", 1 + 4 * k, 4 + (k == 2))
    }
  }' >flowers.csv
}
train_flowers() {
  flowers 150
  run 0 train --data flowers.csv --target kind --epochs "${1:-20}" --lr 0.05 --out run
}

# ---- the command line ----

test_version() {
  run 0 --version
  [ "$(cat out)" = "descent $version" ] || fail "CMakeLists.txt says $version"
}

test_help() {
  run 0 --help
  for command in train evaluate predict generate minimize fit inspect replay report lr-find compare doctor docs; do
    has out "$command"
  done
  run 0 train --help
  has out --set
  has out --resume
  run 2
  empty out
  has err Usage
}

test_mistyped() {
  run 2 trian x.toml
  has err 'error: no command is called "trian"'
  has err 'did you mean "train"?'
  run 2 train --epocs 3
  has err 'error: unknown option --epocs'
  has err 'did you mean --epochs?'
  run 2 evaluate --jsn
  has err 'did you mean --json?'
  run 2 evaluate
  has err 'RUN_DIR is required'
  run 2 train --data x.csv --seed
  has err '--seed needs a value'
  run 2 train --data x.csv --seed x
  has err '"seed" must be an integer'
  run 2 train --data x.csv --threads many
  has err '--threads: expected a whole number'
  run 2 doctor nobody
  has err 'unexpected argument "nobody"'
  empty out
}

test_configuration_errors() {
  run 2 train none.toml
  has err 'none.toml: cannot open'
  run 2 train
  has err 'data.path is not set'
  printf '[data]\npath = "x.csv"\n[optimizer]\nlrr = 1\n' >bad.toml
  run 2 train bad.toml
  has err 'error: bad.toml:4:1: unknown key "optimizer.lrr"'
  has err '  did you mean "optimizer.lr"?'
  run 2 train --data x.csv --set optimizer.lrr=1
  has err 'error: --set optimizer.lrr=1: unknown key'
  empty out
  [ ! -e runs ] || fail "a run directory was left"
}

test_print_config() {
  run 0 train --print-config
  empty err
  has out '[optimizer]'
  has out 'momentum'
  cp out all.toml
  flowers 60
  run 0 train all.toml --data flowers.csv --target kind --epochs 1 --out run
  run 0 train all.toml --data flowers.csv --set optimizer.name=sgd --print-config
  has out 'name = "sgd"  # default: "adam"'
}

test_doctor() {
  run 0 doctor
  for word in vectors threads oneDNN Highway Eigen zlib zstd; do has out "$word"; done
  run 0 doctor --json
  is_json out
}

test_docs() {
  run 0 docs --check "$source/docs"
  run 0 docs new
  same new/configuration.md "$source/docs/configuration.md"
  echo more >>new/configuration.md
  run 1 docs --check new
  has err 'new/configuration.md: differs'
  run 1 docs --check nowhere
}

# ---- a run ----

test_train_evaluate_predict() {
  train_flowers
  has err 'data     flowers.csv'
  has err 'epoch '
  lacks err "$(printf '\033')"
  has out 'test     loss'
  has out 'saved    run'
  for file in config.toml metrics.jsonl summary.json model.json model.safetensors report.html; do
    [ -s "run/$file" ] || fail "run/$file is missing"
  done
  [ "$(grep -c '"split":"valid"' run/metrics.jsonl)" -eq 20 ] || fail "not 20 validations"

  run 0 evaluate run --json
  is_json out
  has out '"accuracy":'
  grep -qE '"accuracy":(1.0|0.9)' out || fail "the flowers were not learnt"
  run 0 evaluate run
  has out accuracy
  run 0 evaluate run --split train
  has err 'train split of flowers.csv, 120 rows'
  run 0 evaluate run --data flowers.csv --json
  is_json out

  run 0 predict run flowers.csv --out predicted.csv
  empty out
  [ "$(head -n 1 predicted.csv)" = "prediction,p_iris,p_rose,p_tulip" ] || fail "the header"
  [ "$(rows predicted.csv)" -eq "$(rows flowers.csv)" ] || fail "not one row for each row"
  # In the order of the input: the columns of the two files agree but for a few rows.
  right=$(paste -d, flowers.csv predicted.csv | awk -F, 'NR > 1 && $3 == $4' | wc -l)
  [ "$right" -ge 140 ] || fail "$right of 150 right"
  "$program" predict run - <flowers.csv >out
  same out predicted.csv
  cut -d, -f 2,1 flowers.csv | "$program" predict run - >out || fail "without the target"
  same out predicted.csv
  run 0 predict run flowers.csv --json --out predicted.jsonl
  [ "$(rows predicted.jsonl)" -eq 150 ] || fail "not one object for each row"
  head -n 1 predicted.jsonl >first.json
  is_json first.json
  has first.json '{"prediction":"iris","probabilities":{"iris":'
}

# Folders of images, one for each class; predictions name the file. An image that does not decode is
# counted in training, and stops a prediction.
test_images() {
  seeds=$source/tests/fuzz/corpus/image
  mkdir -p pictures/bright pictures/dark new
  for i in 1 2 3 4 5 6 7 8 9 10; do
    cp "$seeds/rgb.jpg" "pictures/bright/$i.jpg"
    cp "$seeds/rgb.png" "pictures/dark/$i.png"
  done
  cp "$seeds/cut.jpg" pictures/dark
  run 0 train --data pictures --set data.image_size=8 --set 'data.augment=["crop:1","flip"]' \
    --epochs 20 --lr 0.01 --out run
  has err "1 image left out; the first: pictures/dark/cut.jpg: the JPEG does not decode"
  run 3 train --data pictures --set data.image_size=8 --set data.strict=true --out strict
  has err pictures/dark/cut.jpg
  cp "$seeds/rgb.jpg" new/b.jpg
  cp "$seeds/rgb.png" new/a.png
  run 0 predict run new
  has out "file,prediction,p_bright,p_dark"
  has out "new/a.png,dark,"
  has out "new/b.jpg,bright,"
  run 0 predict run new/a.png
  [ "$(rows out)" -eq 2 ] || fail "one image, $(rows out) lines"
  cp "$seeds/cut.jpg" new
  run 3 predict run new
  has err new/cut.jpg
  run 2 train --data pictures --set data.image_size=8 --set 'data.augment=["flop"]' --out typo
  has err 'did you mean "flip"?'
}

test_inspect() {
  train_flowers 1
  for what in run run/model.json run/model.safetensors; do
    run 0 inspect $what
    has out 'linear(64)'
    has out '4,547'
  done
  run 0 inspect run --json
  is_json out
  mkdir bare
  cp run/model.safetensors bare
  run 0 inspect bare/model.safetensors
  has out '[64, 2]'
  run 3 inspect nothing
  has err 'error: '
}

test_json_and_quiet() {
  flowers 60
  run 0 train --data flowers.csv --target kind --epochs 2 --json
  is_json out
  has err 'saved    runs/flowers-1'
  run 0 train --data flowers.csv --target kind --epochs 2 --json --quiet
  is_json out
  has err 'test     loss'
  lacks err 'epoch '
  [ -d runs/flowers-2 ] || fail "the second run is not runs/flowers-2"
}

test_profile() {
  flowers 60
  run 0 train --data flowers.csv --target kind --epochs 2 --profile --dump-plan --out run
  has out 'GFLOP/s'
  has out 'copies between layouts'
  has out 'phase once'
  is_json run/trace.json
}

test_run_directories() {
  train_flowers 1
  run 2 train --data flowers.csv --target kind --epochs 1 --out run
  has err 'run: there is a run already'
  run 0 train --data flowers.csv --target kind --epochs 1 --out run --overwrite
  run 2 train --resume nowhere
  has err 'there is no run here'
  run 2 train --resume run --out other
  has err 'name different directories'
  run 0 train --data flowers.csv --target kind --epochs 1 --out deep/er/run
}

# The configuration that a run leaves makes the same model, bit by bit; threads do not matter.
test_reproducible() {
  train_flowers 3
  run 0 train run/config.toml --out again --threads 1
  same run/model.safetensors again/model.safetensors
  run 0 train run/config.toml --out sharded1 --set train.shards=2 --threads 1
  run 0 train run/config.toml --out sharded2 --set train.shards=2 --threads 2
  same sharded1/model.safetensors sharded2/model.safetensors
  run 0 train run/config.toml --out other --seed 2
  ! cmp -s run/model.safetensors other/model.safetensors || fail "the seed changes nothing"
}

test_shortcuts() {
  flowers 60
  run 0 train --data flowers.csv --target kind --drop width --model linear --optimizer sgd \
    --lr 0.5 --epochs 2 --batch-size full --seed 5 --out run --set train.shards=1
  has run/config.toml 'drop = ["width"]'
  has run/config.toml 'name = "linear"'
  has run/config.toml 'lr = 0.5'
  has run/config.toml 'seed = 5'
  has run/config.toml 'batch_size = "full"'
  [ "$(grep -c '"split":"train"' run/metrics.jsonl)" -eq 2 ] || fail "not two epochs"
}

test_line() {
  mkdir examples
  cp "$source/examples/line.csv" examples
  run 0 train "$source/examples/linear-regression.toml" --out run
  printf 'x\n0\n1\n' >x.csv
  run 0 predict run x.csv
  # intercept 1.85, slope 0.71
  awk 'NR == 2 { b = $1 } NR == 3 { w = $1 - b }
    END { exit !(NR == 3 && sprintf("%.2f", b) == "1.85" && sprintf("%.2f", w) == "0.71") }' out ||
    fail "not 0.71 x + 1.85"
}

# ---- the report ----

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

# ---- learning rates, comparisons ----

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

# ---- texts ----

# train_text: a model of twelve characters that sees the last one alone.
train_text() {
  awk 'BEGIN { for (i = 0; i < 200; ++i) print "the cat sat on a mat." }' >poem.txt
  cat >poem.toml <<'END'
[data]
path = "poem.txt"
context = 16
[[model.layers]]
type = "embedding"
vocabulary = 12
dim = 8
[[model.layers]]
type = "linear"
units = 12
[optimizer]
lr = 0.05
[train]
epochs = 4
shards = 1
END
  run 0 train poem.toml --out run
}

test_language() {
  train_text
  has err '4,400 bytes, 4,400 tokens of 12 (char)'
  has err '3,520 train, 440 valid, 440 test (file order)'
  has out perplexity
  run 0 evaluate run --json
  is_json out
  has out '"bits_per_character":'
  printf 'the cat sat on a mat.\nthe\n' >lines
  run 0 evaluate run --data lines
  run 0 predict run lines
  [ "$(head -n 1 out)" = "tokens,log_likelihood,perplexity" ] || fail "the header"
  [ "$(rows out)" -eq 3 ] || fail "not a row for each line"
  grep -qE '^20,-[0-9.]+,[0-9.]+$' out || fail "20 tokens follow the first"
  printf 'a dog\n' >unknown
  run 3 evaluate run --data unknown
  has err 'unknown: line 1: the character "d" (U+0064)'
  # The vocabulary of the file as it is now.
  echo 'zebra!' >>poem.txt
  run 3 evaluate run
  has err '4 tokens only in the data: "!", "b", "r", "z"'
}

test_generate() {
  train_text
  run 0 generate run --prompt 'the ' --tokens 30
  [ "$(head -c 4 out)" = 'the ' ] || fail "the prompt does not come first"
  [ "$(wc -c <out)" -eq 35 ] || fail "not 30 characters more and a line end"
  cp out first
  run 0 generate run --prompt 'the ' --tokens 30
  same out first
  run 0 generate run --prompt 'the ' --tokens 30 --seed 2
  ! cmp -s out first || fail "the seed changes nothing"
  run 0 generate run --prompt 'the ' --tokens 30 --temperature 0
  cp out greedy
  run 0 generate run --prompt 'the ' --tokens 30 --top-k 1 --seed 7
  same out greedy
  run 0 generate run --prompt 'the ' --tokens 30 --top-p 1e-9
  same out greedy
  run 0 generate run --prompt 'the ' --tokens 5 --json
  is_json out
  has out '"prompt_tokens":4'
  run 2 generate run --prompt 'the dog'
  has err 'the character "d" (U+0064)'
  run 2 generate run --prompt ''
  has err 'no token to go on from'
  run 2 generate run --prompt a --top-p 2
  has err 'top-p is 2'
  run 2 generate run --prompt a --temperature -1
  run 2 generate run
  has err '--prompt is required'
}

test_generate_wants_a_language_model() {
  train_flowers 1
  run 2 generate run --prompt x
  has err 'trained for classification'
}

test_text_column() {
  awk 'BEGIN {
    for (i = 0; i < 60; ++i) {
      good = i % 2
      print (good ? "a fine film number " : "a poor film number ") i "\t" (good ? "yes" : "no")
    }
  }' >reviews.tsv
  cat >reviews.toml <<'END'
[data]
path = "reviews.tsv"
[[model.layers]]
type = "embedding"
vocabulary = 7
dim = 4
[[model.layers]]
type = "flatten"
[[model.layers]]
type = "linear"
units = 2
[optimizer]
lr = 0.05
[train]
epochs = 20
END
  run 0 train reviews.toml --out run
  has err 'texts in column "c0": 5 tokens each, of 6 (word)'
  printf 'a fine film\na poor film\n' >new.tsv
  run 0 predict run new.tsv
  [ "$(cut -d, -f 1 out | tr '\n' ' ')" = 'prediction yes no ' ] || fail "the words were not learnt"
}

# A trained model lends its trunk to another one.
test_transfer() {
  train_flowers 5
  cat >job.toml <<'END'
[data]
path = "flowers.csv"
target = "kind"
[model]
name = "mlp"
hidden = [64, 64]
init_from = "run"
init_skip = ["4.*"]
[optimizer]
lr = 1e-3
[[optimizer.groups]]
match = ["4.*"]
lr = 1e-2
[train]
epochs = 4
freeze = ["0.*"]
END
  run 0 train job.toml --out next
  has err 'init     4 of 6 tensors from run/model.safetensors'
  has err '(192 frozen)'
  has next/config.toml 'freeze = ["0.*"]'
  has next/config.toml '[[optimizer.groups]]'
  run 0 train next/config.toml --out again
  same next/model.safetensors again/model.safetensors
  run 0 evaluate next
  run 2 train job.toml --set 'model.hidden=[64,32]' --out bad
  has err 'run/model.safetensors: 2 of 4 names do not fit the model'
  has err 'shape  2.weight  [64, 64]  [32, 64]'
  [ ! -e bad ] || fail "a run directory was left"
  run 2 train job.toml --set 'train.freeze=[0.wieght]' --out bad
  has err 'did you mean "0.weight"?'
  run 2 train job.toml --set 'optimizer.groups.0.match=[head.*]' --out bad
  has err 'optimizer.groups.0.match: "head.*" matches no name'
  run 3 train job.toml --set model.init_from=nowhere --out bad
  has err 'there is no model at nowhere'
}

# ---- fit ----

# decay: y = 3 exp(-x / 2) + 1, rounded to three decimals.
decay() {
  awk 'BEGIN {
    print "x,y,w,kind"
    for (i = 0; i < 20; ++i) printf "%g,%.3f,%d,%s\n", i / 4, 3 * exp(-i / 8) + 1, 1 + i % 3, "a"
  }' >decay.csv
}
# number KEY...: what the JSON object in out holds there.
number() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda o, k: o[k], sys.argv[1:], json.load(open("out"))))' "$@"
}
# near A B TOLERANCE
near() {
  awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && -d <= t) }' ||
    fail "$1 is not within $3 of $2"
}

test_fit() {
  decay
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --json
  is_json out
  [ "$(rows out)" -eq 1 ] || fail "more than one line"
  has err 'data     decay.csv  20 rows'
  # The rounding of y to 5e-4 decides.
  near "$(number parameters a)" 3 2e-3
  near "$(number parameters b)" 0.5 1e-3
  near "$(number parameters c)" 1 2e-3
  near "$(number standard_errors b)" 2e-4 2e-4
  near "$(number r2)" 1 1e-6
  near "$(number residual_sum_of_squares)" 0 5e-6
  near "$(number degrees_of_freedom)" 17 0
  has out '"converged":true'
  for key in covariance iterations reason residual_standard_deviation; do has out "\"$key\""; done
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1 --start b=1,c=0
  for word in parameter 'standard error' '95 % interval' 'residual sum of squares' R2 \
    'degrees of freedom           17' converged; do
    has out "$word"
  done
}

test_fit_methods() {
  decay
  for method in lm gauss_newton lbfgs; do
    run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=2,b=1,c=0 --method $method --json
    near "$(number parameters b)" 0.5 1e-3
  done
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --tol 1e-3 --set factor=10 --json
  has out 'relative step'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --set factr=10
  has err 'did you mean "factor"?'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --method lmm
  has err 'is called "lmm"'
  run 4 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=9,c=0 --max-iterations 2 --json
  has out '"converged":false'
  has err 'not converged (2 iterations)'
}

# One line through the origin has a closed form: sum w x y / sum w x^2.
test_fit_weights_and_bounds() {
  decay
  run 0 fit decay.csv 'y ~ a*x' --start a=1 --weights w --json
  near "$(number parameters a)" "$(awk -F, 'NR > 1 { p += $3*$1*$2; q += $3*$1*$1 }
    END { printf "%.12g", p / q }' decay.csv)" 1e-11
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --upper c=0.9 --json
  near "$(number parameters c)" 0.9 0
  has out '"c":null'
  has err 'c lies on a bound'
  sed 's/,1,a/,-1,a/' decay.csv >negative.csv
  run 3 fit negative.csv 'y ~ a*x' --start a=1 --weights w
  has err 'negative.csv:2: the weight -1 is negative'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --weights ww
  has err 'did you mean "w"?'
}

test_fit_missing_values() {
  decay
  printf 'NA,2,1,a\n7,,1,a\n' >>decay.csv
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --json
  has err '20 rows, 2 with missing values left out'
  near "$(number rows)" 20 0
  near "$(number rows_left_out)" 2 0
}

test_fit_undetermined() {
  decay
  run 0 fit decay.csv 'y ~ a*b*exp(-x/2) + c + 0*d' --start a=1,b=1,c=0,d=1 --json
  has err 'a and b cannot be told apart'
  has err 'd has no effect'
  has out '"standard_errors":{"a":null,"b":null,"c":0.000'
  near "$(number parameters c)" 1 2e-3
}

test_fit_errors() {
  decay
  run 2 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,c=0
  has err 'error: formula: "b" is neither a column of decay.csv nor a parameter with a start'
  has err 'give --start b=...'
  run 2 fit decay.csv 'y ~ slope*knd' --start slope=1
  has err 'did you mean "kind"?'
  run 2 fit decay.csv 'y ~ a*x' --start a=1,b=2
  has err '--start: "b" does not occur in the formula'
  run 2 fit decay.csv 'y ~ a*x + w' --start a=1,w=2
  has err '"w" is a column of decay.csv and a parameter'
  run 2 fit decay.csv 'y = a*x' --start a=1
  has err 'not of the form MEASURED ~ MODEL'
  run 2 fit decay.csv 'y ~ a*(x' --start a=1
  has err 'error: '
  run 2 fit decay.csv 'y ~ a*x' --start a
  has err 'expected NAME=NUMBER'
  run 2 fit decay.csv 'y ~ a*x' --start a=one
  has err '"one" is not a number'
  run 2 fit decay.csv 'y ~ x'
  has err 'no parameters'
  run 2 fit decay.csv 'y ~ a*log(x)' --start a=1
  has err 'decay.csv:2: "a*log(x)" is -inf at the start, where'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --lower b=0
  has err '--lower'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --plot fit.pdf
  has err 'fit.pdf'
  run 3 fit decay.csv 'y ~ a*kind' --start a=1
  has err 'column "kind" holds texts'
  run 3 fit none.csv 'y ~ a*x' --start a=1
  has err 'none.csv: cannot open'
  empty out
}

test_fit_plot() {
  decay
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --plot fit.svg
  has fit.svg '<svg'
  has err 'saved    fit.svg'
  run 0 fit decay.csv 'y ~ a*x + b*w + c' --start a=1,b=1,c=0 --plot fit.png
  [ "$(head -c 4 fit.png | tail -c 3)" = PNG ] || fail "fit.png is no PNG"
}

test_fit_nist() {
  python3 "$source/tests/cli/nist.py" "$program" "$source/tests/golden/nist" >out ||
    fail "certified values are not reached"
}

# ---- what goes wrong ----

test_bad_data() {
  run 3 train --data none.csv --target y
  has err 'none.csv: cannot open'
  flowers 30
  echo '1,x' >>flowers.csv
  run 3 train --data flowers.csv --target kind --set data.strict=true
  has err 'error: flowers.csv:32'
  run 2 train --data flowers.csv --target kidn
  has err 'did you mean "kind"?'
  train_flowers 1
  printf 'length,width\n1,2\n3\n' >short.csv
  run 3 predict run short.csv
  has err 'short.csv:3'
  printf 'length\n1\n' >column.csv
  run 3 predict run column.csv
  has err width
  echo '{' >run/model.json
  run 3 evaluate run
  has err run/model.json
}

test_diverged() {
  flowers 60
  run 4 train --data flowers.csv --target kind --epochs 50 --optimizer sgd --lr 1e12 --out run
  has err 'error: step '
  has err 'smaller learning rate'
  empty out
  is_json run/summary.json
  has run/summary.json '"exit_code": 4'
  has run/summary.json '"reason": "diverged: step '
}

test_full_disk() {
  [ -c /dev/full ] || exit 0
  code=0
  "$program" doctor >/dev/full 2>err || code=$?
  [ "$code" -eq 3 ] || fail "exit code $code"
  has err 'standard output: cannot write'
}

# ---- signals ----

# interrupted SIGNAL CODE: a run that a signal stops goes on to the same end, bit by bit.
interrupted() {
  flowers 300
  set -- "$1" "$2" train --data flowers.csv --target kind --epochs 600 --set train.shards=1 \
    --set 'model.hidden=[256,256]'
  signal=$1 wanted=$2
  shift 2
  run 0 "$@" --out whole
  "$program" "$@" --out part >out 2>err &
  pid=$!
  tries=0
  until [ -f part/metrics.jsonl ] && [ "$(rows part/metrics.jsonl)" -ge 5 ]; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || fail "the run does not begin"
    sleep 0.05
  done
  kill -s "$signal" "$pid"
  code=0
  wait "$pid" || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted"
  [ "$signal" = KILL ] || has err 'stopped  interrupted'
  [ ! -e part/model.json ] || fail "it ended before it was interrupted"
  [ "$signal" = KILL ] || has part/summary.json "\"exit_code\": $wanted"
  run 0 train --resume part
  has err resumed
  same whole/model.safetensors part/model.safetensors
  for directory in whole part; do
    sed 's/,"rows_per_second":[^,]*//; s/,"seconds":.*//' $directory/metrics.jsonl >$directory.lines
  done
  same whole.lines part.lines
}
test_interrupted() { interrupted INT 130; }
test_terminated() { interrupted TERM 143; }
test_killed() { interrupted KILL 137; }

# `train CONFIG --resume DIR` is what a machine that may vanish runs again and again.
test_resume_with_configuration() {
  flowers 60
  printf '[data]\npath = "flowers.csv"\n[train]\nepochs = 2\nshards = 1\n' >job.toml
  run 0 train job.toml --resume run
  has err 'no checkpoint yet'
  run 0 train job.toml --resume run
  run 0 train job.toml --resume run --epochs 3
  has err 'resumed  from step'
  run 0 train job.toml --epochs 3 --out whole
  same run/model.safetensors whole/model.safetensors
  cp run/summary.json before
  run 0 train --resume run
  for what in train valid best_valid test; do
    for file in before run/summary.json; do
      python3 -c "import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])" $file $what >$file.$what
    done
    has before.$what "'loss': "
    same before.$what run/summary.json.$what
  done
  run 0 train --resume run --out run --epochs 4
  has run/config.toml 'epochs = 4'
}

# Cases in files of their own.
for cases in "$source"/tests/cli/program_*.sh; do . "$cases"; done

"test_$case"
