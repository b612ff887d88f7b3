// The sections [train] and [checkpoint] of a configuration, and the initial values of [model].
#include "descent/train/config.h"

namespace descent::train {

std::vector<Option> train_options() {
  using T = OptionType;
  return {
      {"epochs", T::integer, std::int64_t{10}, "Passes over the training rows.", {}, 0, {}},
      {"steps", T::integer, {}, "Updates to do, instead of a number of epochs.", {}, 1, {}},
      {"batch_size", T::text, std::string("auto"),
       "Rows per update: a number, \"full\" (all rows, in file order), or \"auto\" (32 below 2,000 "
       "training rows, else 128). 1 is "
       "stochastic gradient descent in the strict sense."},
      {"batch_schedule", T::texts, std::vector<std::string>{},
       "Other batch sizes from some epochs on: [\"10:256\", \"20:512\"] takes 256 rows from epoch "
       "10 "
       "on, 512 from epoch 20 on. The order of the rows is the same."},
      {"accumulate",
       T::integer,
       std::int64_t{1},
       "Batches per update: their gradients are averaged over all rows as one batch would, with "
       "weights and with batches that are not full, in the memory of one. Steps, schedules and "
       "checkpoints count updates. Statistics of batch normalisation are each batch's own.",
       {},
       1,
       {}},
      {"shuffle", T::boolean, true,
       "Take the rows of each epoch in a new order (a permutation keyed by seed and epoch)."},
      {"drop_last", T::boolean, false,
       "Leave out the last batch of an epoch where it is not full."},
      {"shards",
       T::integer,
       std::int64_t{0},
       "Logical parts that each batch is cut into. Results depend on this number, never on "
       "threads. 0: chosen from the model's cost "
       "and the machine's processors, and written here; a batch that it does not divide uses the "
       "largest divisor below.",
       {},
       0,
       256},
      {"precision",
       T::text,
       std::string("float32"),
       "Arithmetic: float32, float64, or bf16 (products and convolutions in bfloat16 with float32 "
       "accumulation; weights and the rest in float32).",
       {"float32", "float64", "bf16"}},
      {"patience",
       T::integer,
       std::int64_t{0},
       "Stop when the monitored metric has not improved for so many epochs (early stopping). 0: "
       "never.",
       {},
       0,
       {}},
      {"min_delta",
       T::number,
       0.0,
       "Smallest change of the monitored metric that counts as an improvement.",
       {},
       0,
       {}},
      {"monitor", T::text, std::string("loss"),
       "Metric on the validation rows that decides what is best: loss, accuracy, r2, ..."},
      {"restore_best", T::boolean, true,
       "End with the weights of the best epoch (where there are validation rows)."},
      {"average_statistics_batches",
       T::integer,
       std::int64_t{100},
       "Averaged weights (optimizer.ema_decay, swa_start, lookahead_steps, schedule-free "
       "optimizers): before they are validated, tested or saved, the running statistics of batch "
       "normalisation are computed anew for them, from the training rows, at most so many batches. "
       "0: those of the weights that are trained.",
       {},
       0,
       {}},
      {"stop_loss", T::number, {}, "Stop when the training loss of an epoch is at most this."},
      {"stop_gradient_norm",
       T::number,
       {},
       "Stop when the norm of a batch's gradient is at most this.",
       {},
       0,
       {}},
      {"max_seconds", T::number, {}, "Stop after this time (resumed runs count on).", {}, 0, {}},
      {"validate_every", T::integer, std::int64_t{1}, "Epochs between validations.", {}, 1, {}},
      {"log_every",
       T::integer,
       std::int64_t{0},
       "Steps between lines of metrics.jsonl inside an epoch. 0: one line per epoch.",
       {},
       0,
       {}},
      {"freeze", T::texts, std::vector<std::string>{},
       "Patterns of parameter names (* for any characters: \"encoder.*\") that keep their values: "
       "they get no gradient and no update. Running statistics of batch normalisation still follow "
       "the data."},
      {"rematerialise", T::boolean, false,
       "Keep only what goes into each block (residual block, transformer block; where there are "
       "none, runs of layers) and compute what is inside again in the backward pass: less memory, "
       "more operations, the same result. The trade is told when the run begins."},
      {"on_divergence",
       T::text,
       std::string("stop"),
       "When the loss or the gradient is NaN or infinite: stop with an error; or rollback, go back "
       "to the beginning of the epoch (or the last checkpoint.every_steps) with half the learning "
       "rate. A run directory gets a file for descent replay.",
       {"stop", "rollback"}},
      {"max_rollbacks",
       T::integer,
       std::int64_t{3},
       "How often a run may go back before it stops all the same.",
       {},
       0,
       {}},
      {"eager", T::boolean, false,
       "Debugging: compute each operation at once, unfused, and stop at the first NaN or Inf with "
       "its layer and operation. Same results, slower."},
      {"without_passes", T::texts, std::vector<std::string>{},
       "Compiler passes to switch off (merge_shards, simplify, merge_common, channels_last, "
       "sum_products, share_transposes, fuse)."},
  };
}

std::vector<Option> initial_options() {
  using T = OptionType;
  return {
      {"init_from",
       T::text,
       {},
       "begin with the weights of this .safetensors file or run directory (names as in PyTorch: "
       "\"0.weight\"); the data's normalisation is fitted anew"},
      {"init_map", T::texts, std::vector<std::string>{},
       "new names for the file's: \"backbone.* -> encoder.*\", or \"backbone -> encoder\" for all "
       "that begins so; the first that fits counts"},
      {"init_skip", T::texts, std::vector<std::string>{},
       "patterns of names that need not fit: parameters that begin as usual (a new head), tensors "
       "that are not used"},
      {"init_strict", T::boolean, true,
       "every other name must be in both, with the same shape; false: take what fits"},
  };
}

std::vector<Option> optimizer_state_options() {
  using T = OptionType;
  return {
      {"load",
       T::text,
       {},
       "go on with the state of PyTorch's Adam, AdamW or SGD from a .safetensors file: tensors "
       "\"state.INDEX.exp_avg\" (INDEX counts model.parameters()) or \"NAME.exp_avg\" (the "
       "parameter's name), and so exp_avg_sq, max_exp_avg_sq, momentum_buffer and step. To write "
       "one: save_file({f\"state.{i}.{k}\": torch.as_tensor(v).contiguous() for i, s in "
       "optimizer.state_dict()[\"state\"].items() for k, v in s.items() if v is not None}, "
       "\"optimizer.safetensors\"), save_file from safetensors.torch. The weights come with "
       "model.init_from; train.steps and train.epochs count from there"},
      {"load_step",
       T::integer,
       {},
       "updates that were made before load; default: what the file says (PyTorch's SGD does not)",
       {},
       0,
       {}},
  };
}

std::vector<Option> checkpoint_options() {
  using T = OptionType;
  return {
      {"every_steps",
       T::integer,
       std::int64_t{0},
       "Updates between checkpoints. 0: none inside an epoch.",
       {},
       0,
       {}},
      {"every_epochs",
       T::integer,
       std::int64_t{1},
       "Epochs between checkpoints. 0: none at the end of epochs.",
       {},
       0,
       {}},
      {"min_seconds",
       T::number,
       2.0,
       "Checkpoints at the end of epochs come no closer than this; the last one is always written.",
       {},
       0,
       {}},
      {"keep",
       T::integer,
       std::int64_t{2},
       "Newest checkpoints to keep, besides the best.",
       {},
       1,
       {}},
  };
}

}  // namespace descent::train
