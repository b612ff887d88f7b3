// The whole library: #include <descent/descent.h>, using namespace descent.
//
//   descent          arrays, values and what is computed from them: ops, grad, jvp, hvp, compile
//   descent::nn      modules, layers, losses, initial values
//   descent::optim   optimizers, gradient transformations, schedules, minimisation
//   descent::plot    figures and animations
//   descent::data    files to datasets, batches
//   descent::io      tensors in files
//   descent::train   configurations, the training loop, metrics, saved models
//   descent::track   what a run tells, and to whom
//
// Rooms that stand behind these (kernels, passes, readers) have headers of their own.
#pragma once

#include "descent/autodiff/autodiff.h"
#include "descent/base/array.h"
#include "descent/base/dtype.h"
#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/base/options.h"
#include "descent/base/random.h"
#include "descent/base/registry.h"
#include "descent/base/shape.h"
#include "descent/base/threads.h"
#include "descent/compile/plan.h"
#include "descent/data/dataset.h"
#include "descent/data/loader.h"
#include "descent/data/options.h"
#include "descent/data/pipeline.h"
#include "descent/data/tokenizer.h"
#include "descent/io/safetensors.h"
#include "descent/ir/fn.h"
#include "descent/ir/graph.h"
#include "descent/ir/value.h"
#include "descent/nn/decode.h"
#include "descent/nn/initializers.h"
#include "descent/nn/layers.h"
#include "descent/nn/loss.h"
#include "descent/nn/module.h"
#include "descent/nn/registry.h"
#include "descent/nn/transfer.h"
#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"
#include "descent/ops/shards.h"
#include "descent/optim/expression.h"
#include "descent/optim/finite_sum.h"
#include "descent/optim/fit_statistics.h"
#include "descent/optim/lbfgs.h"
#include "descent/optim/minimize.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/muon.h"
#include "descent/optim/optimizers.h"
#include "descent/optim/partition.h"
#include "descent/optim/proximal.h"
#include "descent/optim/rate_free.h"
#include "descent/optim/registry.h"
#include "descent/optim/schedule.h"
#include "descent/optim/sophia.h"
#include "descent/optim/test_functions.h"
#include "descent/optim/transform.h"
#include "descent/optim/wrappers.h"
#include "descent/plot/animation.h"
#include "descent/plot/figure.h"
#include "descent/track/jsonl.h"
#include "descent/track/sink.h"
#include "descent/track/terminal.h"
#include "descent/train/config.h"
#include "descent/train/generate.h"
#include "descent/train/job.h"
#include "descent/train/metrics.h"
#include "descent/train/saved_model.h"
#include "descent/train/trainer.h"
