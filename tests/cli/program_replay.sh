# Cases of `descent replay`, read by program.sh.

# plane N [ROW VALUE]: N rows on a plane over two numbers; VALUE instead of the target of a row.
plane() {
  awk -v n="$1" -v bad="${2:--1}" -v value="${3:-0}" 'BEGIN {
    print "a,b,y"
    for (i = 0; i < n; ++i) {
      a = (i * 7 % 50) / 10; b = (i * 13 % 40) / 10
      print a "," b "," (i == bad ? value : 2 * a - b)
    }
  }' >plane.csv
}
# diverges ARGUMENTS...: a run on plane.csv that ends so; the file of its failing step is $failed,
# what it told of it is in finding.json.
diverges() {
  run 4 train --data plane.csv --target y --epochs 3 --out run "$@"
  failed=$(echo run/replay-*.safetensors)
  [ -f "$failed" ] || fail "no file of the failing step, or several"
  has err "look at the step again: descent replay $failed"
  tail -n 1 run/health.jsonl >finding.json
  has finding.json '"rule":"non_finite"'
}
# same_step FILE: what `descent replay --json` wrote is what the run told of its last step.
same_step() {
  python3 - "$1" finding.json <<'END'
import json, sys
again, told = (json.load(open(f)) for f in sys.argv[1:])
evidence = told["evidence"]
assert not again["finite"]
assert again["step"] == told["step"] and again["epoch"] == told["epoch"], again["step"]
assert again["batch"] == evidence["batch"]
# To the last digit: the same plan on the same numbers.
assert again["loss"] == evidence["loss"], (again["loss"], evidence["loss"])
assert again["grad_norm"] == evidence["grad_norm"]
assert again["training_rows"] == evidence["rows"] and again["file_rows"] == evidence["file_rows"]
assert again["what"] in told["text"] and again["layer"] in told["text"], told["text"]
END
}

# One row that overflows: layer, operation and row are named again, wherever the file lies.
test_replay_row() {
  plane 200 57 1e30
  diverges --set data.normalize=none --set data.normalize_target=false
  has err 'the cause is row '
  run 4 replay "$failed"
  empty err
  sed -n 1p out | grep -qE '^step [0-9]+ \(epoch 1, batch [0-9]+\), 32 rows$' || fail "the step"
  has out '0.weight  gradient'
  grep -qE '^first    loss mse: operation square gave inf at element [0-9]+ of float32' out ||
    fail "the operation"
  grep -qE '^rows     [0-9]+ of the training data \(57 of the file, from 0\): target 0 is 1e\+30, in other rows at most' out ||
    fail "the row"
  run 4 replay "$failed" --json
  same_step out || fail "the failing step is another"
  mkdir away
  mv "$failed" away/it
  rm -r run plane.csv
  cp out first
  run 4 replay away/it --json --threads 1
  same first out
  # What would have helped can be tried on the step.
  run 0 replay away/it --set loss.name=mae
  has out 'all finite: loss '
}

# Weights that blow up: the layer whose gradient does, and no row to blame.
test_replay_rate() {
  plane 200
  diverges --set optimizer.name=sgd --set optimizer.lr=1e6 --set train.shards=2
  run 4 replay "$failed" --json
  same_step out || fail "the failing step is another"
  grep -qE '"loss": [0-9.]+e' out || fail "no loss"
  run 4 replay "$failed"
  grep -qE '^loss     [0-9.]+e\+[0-9]+, gradient norm inf$' out || fail "the loss and the norm"
  grep -qE '^first    layer [0-9]+, gradient of [0-9]+\.(weight|bias): operation [a-z_]+ gave inf' out ||
    fail "the layer and the operation"
  has out 'rows     no single row is the cause'
  run 0 replay "$failed" --set loss.name=huber
}

test_replay_refuses() {
  run 2 replay
  has err 'FILE is required'
  run 3 replay nowhere
  has err 'nowhere: cannot open'
  plane 200 57 1e30
  diverges --set data.normalize=none --set data.normalize_target=false
  cp "$failed" good
  # Cut short; one byte of the state, of the batch, of the header changed; an older file.
  head -c 3000 good >cut
  run 3 replay cut
  has err 'error: cut: '
  python3 - <<'END'
import json, struct
whole = open("good", "rb").read()
begin = 8 + struct.unpack("<Q", whole[:8])[0]
header = json.loads(whole[8:begin])
for name, file in (("parameters/0.weight", "state"), ("batch/features", "batch")):
    at = begin + header[name]["data_offsets"][0]
    open(file, "wb").write(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
replay = json.loads(header["__metadata__"]["replay"])
steps = b'\\"total_steps\\":%d' % replay["total_steps"]
changed = b'\\"total_steps\\":%d' % (replay["total_steps"] + 1)
open("header", "wb").write(whole.replace(steps, changed))
open("older", "wb").write(whole.replace(b"descent replay 2", b"descent replay 1"))
END
  for file in state batch header; do
    ! cmp -s good $file || fail "$file is as it was"
    run 3 replay $file
    empty out
    has err "error: $file: the checksum does not fit: the file is damaged"
    has err 'do the run again'
  done
  run 3 replay older
  has err 'error: older: a file of another version of descent'
  run 3 replay "$(ls run/checkpoints/*.safetensors | head -n 1)"
  has err 'not a file of a failing step'
  has err 'give the replay-STEP.safetensors of a run that diverged'
  run 3 replay plane.csv
  has err 'error: plane.csv: '
  run 2 replay good --set optimizer.nothing=1
  has err 'optimizer.nothing'
}
