// Muon: momentum, made orthogonal.
//
//   b_t = mu b_{t-1} + (1 - mu) g_t
//   d_t = b_t, or with nesterov (1 - mu) g_t + mu b_t
//   X_0 = d_t / max(|d_t|, eps);   ns_steps times, with A = X X':  X <- a X + (b A + c A A) X
//   direction: X sqrt(max(1, rows / columns)), or X 0.2 sqrt(max(rows, columns))
//
// The iteration drives the singular values of X to somewhere about 1. What torch.optim.Muon of
// PyTorch 2.13 computes (its documentation has b = mu b + g, its code the mean above), with two
// differences: the products are in the parameters' precision where PyTorch takes bfloat16, and what
// is no matrix follows AdamW here where PyTorch refuses it. Convolutions, as an option, are
// matrices [out, in * height * width]; the factor then is that matrix's. Weight decay is decoupled
// and takes the rate without the factor. Jordan et al. 2024, "Muon: an optimizer for hidden layers
// in neural networks"; Liu et al. 2025, "Muon is scalable for LLM training" (match_rms_adamw).
#include "descent/optim/muon.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/base/glob.h"
#include "descent/ops/ops.h"
#include "descent/optim/partition.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// The smaller Gram matrix: X X' of a wide matrix, X' X of a tall one, which is the same iteration
// transposed.
Value orthogonalised(const Value& d, const MuonScale& o) {
  const bool tall = d.shape()[0] > d.shape()[1];
  const auto [a, b, c] = o.ns_coefficients;
  auto x = d / maximum(norm(d), o.eps);
  for (std::int64_t i = 0; i < o.ns_steps; ++i) {
    const auto gram = matmul(x, x, tall, !tall);
    const auto factor = b * gram + c * matmul(gram, gram);
    x = a * x + (tall ? matmul(x, factor) : matmul(factor, x));
  }
  return x;
}

double factor_of(double rows, double columns, MuonScale::AdjustLr adjust) {
  return adjust == MuonScale::AdjustLr::original ? std::sqrt(std::max(1.0, rows / columns))
                                                 : 0.2 * std::sqrt(std::max(rows, columns));
}

}  // namespace

Optimizer scale_by_muon(MuonScale o) {
  require_fraction("muon", "momentum", o.momentum);
  require_positive("muon", "eps", o.eps);
  require_not_negative("muon", "ns_steps", static_cast<double>(o.ns_steps));
  return per_parameter(
      {.name = "muon", .slots = {{"b"}}, .update = [o](const Item& i) {
         const auto& g = i.gradient;
         auto& b = i.state[0];
         if (g.shape().rank() < 2) {
           throw Error(ErrorKind::usage, "the parameter is no matrix", "muon: " + i.info.name);
         }
         b = o.momentum * b + (1 - o.momentum) * g;
         const auto d = o.nesterov ? (1 - o.momentum) * g + o.momentum * b : b;
         const auto rows = g.shape()[0], columns = g.shape().size() / rows;
         const auto x = orthogonalised(reshape(d, {rows, columns}), o);
         return reshape(x, g.shape()) *
                factor_of(static_cast<double>(rows), static_cast<double>(columns), o.adjust_lr);
       }});
}

Optimizer muon(const MuonOptions& o) {
  const auto part = [&](const Optimizer& rule, const Rate& rate) {
    return around(rule, {.lr = rate, .weight_decay = o.weight_decay, .decayed = o.decayed});
  };
  Part matrices;
  matrices.optimizer = part(scale_by_muon(o.muon), o.lr);
  matrices.takes = [match = o.adam_match, convolutions = o.convolutions](const Parameter& p) {
    const auto rank = p.type.shape.rank();
    return (rank == 2 || (rank == 4 && convolutions)) && !matches_any(match, p.name);
  };
  return partition({std::move(matrices)}, part(scale_by_adam(o.adam), o.adam_lr.value_or(o.lr)));
}

namespace {

MuonOptions options_from(const Options& o, const Schedule& schedule) {
  const auto coefficients = o.numbers("ns_coefficients");
  if (coefficients.size() != 3) {
    throw Error(ErrorKind::usage,
                fmt::format("ns_coefficients must be three numbers, not {}", coefficients.size()),
                "muon");
  }
  MuonOptions out{.lr = schedule,
                  .muon = {.momentum = o.number("momentum"),
                           .nesterov = o.boolean("nesterov"),
                           .ns_coefficients = {coefficients[0], coefficients[1], coefficients[2]},
                           .eps = o.number("eps"),
                           .ns_steps = o.integer("ns_steps"),
                           .adjust_lr = o.text("adjust_lr_fn") == "original"
                                            ? MuonScale::AdjustLr::original
                                            : MuonScale::AdjustLr::match_rms_adamw},
                  .adam = {.b1 = o.number("adam_beta1"),
                           .b2 = o.number("adam_beta2"),
                           .eps = o.number("adam_eps")},
                  .weight_decay = o.number("weight_decay"),
                  .decayed = decayed_by(o),
                  .adam_match = o.texts("adam_match"),
                  .convolutions = o.boolean("convolutions")};
  if (o.has("adam_lr")) {
    require_positive("muon", "lr", o.number("lr"));
    out.adam_lr = [schedule, ratio = o.number("adam_lr") / o.number("lr")](std::int64_t step) {
      return ratio * schedule(step);
    };
  }
  return out;
}

}  // namespace

void register_muon(OptimizerRegistry& registry) {
  const MuonOptions defaults;
  const auto& [a, b, c] = defaults.muon.ns_coefficients;
  auto nesterov = boolean_option("nesterov", "orthogonalise gradient + momentum * mean");
  nesterov.fallback = true;
  add_optimizer(
      registry,
      {.name = "muon",
       .help = "orthogonal steps for matrices, AdamW for embeddings, heads and all else (Jordan et "
               "al. 2024)",
       .lr = 1e-3,
       .weight_decay = 0.1,
       .decoupled = true,
       .options =
           {number_option("momentum", 0.95, "decay of the mean gradient", 0, 1),
            nesterov,
            {.key = "ns_coefficients",
             .type = OptionType::numbers,
             .fallback = std::vector<double>{a, b, c},
             .help = "coefficients of the Newton-Schulz iteration a X + (b A + c A A) X, A = X X'"},
            number_option("eps", 1e-7, "least norm the iteration divides by"),
            {.key = "ns_steps",
             .type = OptionType::integer,
             .fallback = std::int64_t{5},
             .help = "steps of the iteration",
             .min = 0,
             .max = 99},
            {.key = "adjust_lr_fn",
             .type = OptionType::text,
             .fallback = std::string("original"),
             .help = "factor of the rate: original: sqrt(max(1, rows / columns)); match_rms_adamw: "
                     "0.2 sqrt(max(rows, columns)), for rates found for AdamW",
             .choices = {"original", "match_rms_adamw"}},
            {.key = "adam_match",
             .type = OptionType::texts,
             .fallback = defaults.adam_match,
             .help = "patterns of names of matrices that follow AdamW: embeddings and output "
                     "layers, whatever a model calls them"},
            {.key = "adam_lr",
             .type = OptionType::number,
             .help = "rate of the AdamW part, under the same schedule; default: lr",
             .min = 0},
            number_option("adam_beta1", 0.9, "AdamW part: decay of the mean gradient", 0, 1),
            number_option("adam_beta2", 0.999, "AdamW part: decay of the mean square", 0, 1),
            number_option("adam_eps", 1e-8,
                          "AdamW part: added to the corrected root of the mean square"),
            boolean_option("convolutions",
                           "weights of convolutions are matrices [out, rest] for Muon")},
       .rule = {},
       .whole = [](const Options& o, const Schedule& rate) {
         return muon(options_from(o, rate));
       }});
}

}  // namespace descent::optim
