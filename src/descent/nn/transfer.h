// Transfer learning: a model begins with the values of another one, and parts of it stay as they
// are. Works on the descriptions of describe(), so that whatever initialises and trains them needs
// to know nothing of it.
#pragma once
#include <string>
#include <vector>

#include "descent/nn/module.h"

namespace descent::nn {

struct TransferOptions {
  // "from -> to", the first that fits a tensor's name renames it. With * in both, what each * of
  // `from` stands for is put in the place of the * of `to`; without any, `from` is a name or the
  // beginning of names: "backbone -> encoder" makes "encoder.0.weight" of "backbone.0.weight".
  std::vector<std::string> map;
  // Patterns of names that need not fit: variables of the model that keep their initial values (a
  // new head), tensors (under their new names) that are not used.
  std::vector<std::string> skip;
  // Every other variable must be there with its shape, and every other tensor be used. false: what
  // does not fit is left out, as long as something fits.
  bool strict = true;
};

struct Transferred {
  std::vector<std::string> taken;                           // variables that were found
  std::vector<std::string> missing, unexpected, differing;  // names; empty where strict
};

// The variables with `tensors` as initial values, converted to their types. Errors: a pattern that
// matches nothing, and a table of all names that are missing, unexpected or of another shape.
// `where`: the tensors' file. PyTorch's "num_batches_tracked" is passed over.
Transferred transfer(std::vector<Variable>& variables, const Tree& tensors,
                     const TransferOptions& options, const std::string& where);

// Parameters whose names match are no longer trained: they get no gradient and no update. Buffers
// do not freeze: the running statistics of batch normalisation follow the new data, as in PyTorch
// with requires_grad = False. A usage error for a pattern that matches no parameter, and where no
// parameter is left to train.
void freeze(std::vector<Variable>& variables, const std::vector<std::string>& patterns);

}  // namespace descent::nn
