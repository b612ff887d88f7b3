# Cases of texts: language models, classifiers, transfer; read by program.sh.

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
  run 0 predict run lines --json
  python3 -m json.tool --json-lines out >/dev/null || fail "not JSON"
  [ "$(rows out)" -eq 2 ] || fail "not an object for each line"
  head -n 1 out | grep -qE '^\{"tokens":20,"log_likelihood":-[0-9.]+,"perplexity":[0-9.]+\}$' ||
    fail "not the numbers of a line"
  # Nothing follows a single token, so that there is no perplexity.
  printf 't\n' >one
  run 0 predict run one --json
  [ "$(cat out)" = '{"tokens":0,"log_likelihood":0.0,"perplexity":null}' ] || fail "a token alone"
  printf 'a dog\n' >unknown
  run 3 evaluate run --data unknown
  has err 'unknown: line 1: the character "d" (U+0064)'
  # The vocabulary of the file as it is now.
  echo 'zebra!' >>poem.txt
  run 3 evaluate run
  has err '4 tokens only in the data: "!", "b", "r", "z"'
}

# As many tokens as before, of which one is another.
test_language_resumes_with_its_vocabulary() {
  train_text
  sed -i 's/c/z/g' poem.txt
  run 3 train --resume run
  has err 'the tokenizer of the checkpoint is not that of the data'
  has err '1 token only in the checkpoint: "c"; 1 token only in the data: "z"'
  has err 'begin anew: with --overwrite'
  run 0 train poem.toml --out run --overwrite
  run 0 train --resume run
}

test_profile_of_a_recurrent_layer() {
  awk 'BEGIN { for (i = 0; i < 200; ++i) print "the cat sat on a mat." }' >poem.txt
  run 0 train --data poem.txt --model char_rnn --set model.units=8 --set model.layers=1 \
    --set data.context=16 --set train.epochs=1 --set train.shards=1 --profile --out run
  grep -qE '^[0-9]+ copies between layouts left in a step, of all shards: .*recurrent 1' out ||
    fail "the packed weight is not counted"
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
