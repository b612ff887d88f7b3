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
    --convention keras --lr 0.5 --epochs 2 --batch-size full --seed 5 --out run --set train.shards=1
  has run/config.toml 'drop = ["width"]'
  has run/config.toml 'name = "linear"'
  has run/config.toml 'convention = "keras"'
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
