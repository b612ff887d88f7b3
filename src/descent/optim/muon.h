// Muon for matrices, AdamW for the rest; formula and conventions in transforms/muon.cpp.
#pragma once
#include <array>
#include <optional>

#include "descent/optim/optimizers.h"

namespace descent::optim {

struct MuonScale {
  double momentum = 0.95;
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};
  double eps = 1e-7;
  std::int64_t ns_steps = 5;
  // original: times sqrt(max(1, rows / columns)); match_rms_adamw: 0.2 sqrt(max(rows, columns)), so
  // that rates found for AdamW can be used.
  enum class AdjustLr { original, match_rms_adamw };
  AdjustLr adjust_lr = AdjustLr::original;
};
// For parameters of rank 2 or more; axes after the first are taken as one.
Optimizer scale_by_muon(MuonScale options = {});

struct MuonOptions {
  Rate lr = 1e-3;
  MuonScale muon = {};
  AdamScale adam = {};
  std::optional<Rate> adam_lr = {};  // none: lr
  double weight_decay = 0.1;         // decoupled, for both
  Decayed decayed = except_bias_and_norm;
  // Patterns of names of matrices that follow AdamW, as all parameters that are not matrices do.
  std::vector<std::string> adam_match = {"*embed*", "*wte*", "*wpe*", "*head.*"};
  bool convolutions = false;  // weights [out, in, height, width] follow Muon as [out, rest]
};
Optimizer muon(const MuonOptions& options = {});

}  // namespace descent::optim
