// optimizer.load: the state of PyTorch's Adam, AdamW and SGD, so that a run of theirs goes on here
// with the same trajectory. The option's help says how to write the file.
#pragma once
#include "descent/nn/module.h"
#include "descent/optim/transform.h"
#include "descent/track/sink.h"
#include "descent/train/config.h"

namespace descent::train {

// Updates made before: optimizer.load_step, or what the file says. Usage and data errors.
std::int64_t first_step_of(const Config& config);

// The tensors of optimizer.load as the state of `optimizer`, in its order. A data error lists what
// is missing, left over or of another shape.
nn::Tree load_optimizer(const Config& config, const optim::Optimizer& optimizer,
                        const std::vector<nn::Variable>& variables, track::Sink& sink);

}  // namespace descent::train
