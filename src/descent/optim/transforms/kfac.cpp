// K-FAC: the natural gradient, with a Fisher matrix that is a Kronecker product for each layer.
//
// For a layer s = W a~, a~ = (a, 1) where there is a bias, and g the gradient of a sample's loss
// with respect to s:
//   A = E[a~ a~^T],  G = E[g g^T],  F ~ A x G
//   A_t = e A_{t-1} + (1 - e) A,  e = min(1 - 1/t, decay), likewise G
//   direction: U = (G + sqrt(damping) / pi)^-1 dW (A + pi sqrt(damping))^-1,
//              pi^2 = (tr A / dim A) / (tr G / dim G)
// Convolutions (Grosse & Martens 2016): a is the patch that the filters see; A sums over the places
// of an image and G is the mean over them. So are the tokens of a sequence.
//
// fisher: sampled: g is that of targets drawn from the model's own distribution, by one more pass
// backwards, which makes F the Fisher matrix; empirical: that of the batch's targets, as many ports
// have it. A loss that has no distribution (mae, hinge) gives the empirical one.
// kl_clip: U times min(1, sqrt(kl_clip / (lr^2 sum U dW))), the sum over all such layers (Ba et al.
// 2017), which bounds the change of the model's distribution. momentum: PyTorch's form, of all.
//
// A and G are taken every `observe` steps; the inverses every `refresh` and at each of the first
// three, as in the paper. Parameters that are not of such a layer (see products.h), or of one with
// more than max_dim inputs or outputs, follow SGD with momentum. A weight "x.weight" and a bias
// "x.bias" are one layer.
//
// Martens & Grosse 2015, "Optimizing neural networks with Kronecker-factored approximate
// curvature"; Grosse & Martens 2016, "A Kronecker-factored approximate Fisher matrix for
// convolution layers"; Ba et al. 2017, "Distributed second-order optimization using
// Kronecker-factored approximations". Momentum and damping are fixed here, as in the ports to
// PyTorch, not adapted as in the paper.
#include <algorithm>
#include <cmath>
#include <optional>

#include "descent/base/error.h"
#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"
#include "descent/optim/products.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

constexpr std::string_view kWeight = "weight", kBias = "bias";
constexpr std::int64_t kRefreshing = 1, kObserving = 2;  // bits of the variant

// Parameters that are a layer, or could be one.
struct LayerParameters {
  std::size_t weight;
  std::optional<std::size_t> bias;
  std::int64_t inputs, outputs;  // inputs: with the 1 that the bias multiplies
};

std::optional<std::size_t> bias_of(const std::vector<Parameter>& info, const Parameter& weight) {
  if (!weight.name.ends_with(kWeight)) return std::nullopt;
  const auto name = weight.name.substr(0, weight.name.size() - kWeight.size()).append(kBias);
  for (std::size_t i = 0; i < info.size(); ++i) {
    if (info[i].name == name && info[i].type.shape == Shape{weight.type.shape[0]}) return i;
  }
  return std::nullopt;
}

std::vector<LayerParameters> layers_of(const std::vector<Parameter>& info, std::int64_t max_dim) {
  std::vector<LayerParameters> layers;
  for (std::size_t i = 0; i < info.size(); ++i) {
    const auto& shape = info[i].type.shape;
    if (shape.rank() < 2 || shape.size() == 0) continue;
    const auto bias = bias_of(info, info[i]);
    const auto inputs = shape.size() / shape[0] + (bias ? 1 : 0);
    if (inputs <= max_dim && shape[0] <= max_dim) layers.push_back({i, bias, inputs, shape[0]});
  }
  return layers;
}

// The state of one layer.
struct Factors {
  Value &a, &g, &inverse_a, &inverse_g;
};

Value trace_of(const Value& x) { return sum(x * eye(x.shape()[0], x.dtype())); }

class Kfac final : public Transform {
 public:
  Kfac(const KfacScale& o, Schedule rate) : o_(o), rate_(std::move(rate)) {}

  std::string name() const override { return "kfac"; }

  std::vector<StateTensor> state(const std::vector<Parameter>& info) const override {
    std::vector<StateTensor> all;
    for (const auto& layer : layers_of(info, o_.max_dim)) {
      const auto& p = info[layer.weight];
      const Type a{p.type.dtype, {layer.inputs, layer.inputs}, false},
          g{p.type.dtype, {layer.outputs, layer.outputs}, false};
      all.push_back({"kfac.inputs." + p.name, a});
      all.push_back({"kfac.outputs." + p.name, g});
      all.push_back({"kfac.inverse_inputs." + p.name, a});
      all.push_back({"kfac.inverse_outputs." + p.name, g});
    }
    return all;
  }

  std::vector<HostScalar> scalars(DType) const override {
    return {{"kfac.kept",
             [o = o_](std::int64_t step) {
               const std::int64_t looks = step / o.observe + 1;
               return std::min(1 - 1 / static_cast<double>(looks), o.decay);
             }},
            {"kfac.lr", rate_}};
  }

  std::int64_t variants() const override { return 4; }
  std::int64_t variant(std::int64_t step) const override {
    const bool refreshing = step < 3 || step % o_.refresh == 0;
    return (refreshing ? kRefreshing : 0) + (step % o_.observe == 0 ? kObserving : 0);
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (!context.loss) return;  // gradients that are fed: there is no layer
    const auto used = products(context.loss, context.parameters);
    const bool observing = (context.variant & kObserving) != 0;
    const bool sampled = o_.sampled && context.sampled_loss;
    const Value loss = observing && sampled ? context.sampled_loss() : context.loss;
    const auto observed = observing ? products(loss, context.parameters) : used;
    Value change;
    std::vector<LayerParameters> changed;
    std::size_t next = 0;
    for (const auto& layer : layers_of(context.info, o_.max_dim)) {
      const Factors f{state[next], state[next + 1], state[next + 2], state[next + 3]};
      next += 4;
      if (!used[layer.weight]) continue;
      if (observing && observed[layer.weight]) {
        observe(f, *observed[layer.weight], layer, loss, context.scalars[0]);
      }
      if ((context.variant & kRefreshing) != 0) refresh(f);
      const Value before = matrix_of(updates, layer);
      const Value after = matmul(matmul(f.inverse_g, before), f.inverse_a);
      change = change ? change + dot(before, after) : dot(before, after);
      assign(updates, layer, after);
      changed.push_back(layer);
    }
    if (next > 0 && changed.empty() && !context.gradient_at) {
      throw Error(ErrorKind::usage, "gradients that are sums over batches show no layers", "kfac",
                  "leave out train.accumulate, or take another optimizer");
    }
    if (o_.kl_clip == 0 || changed.empty()) return;
    // 1e-30: no gradient, no step.
    const Value size = maximum(change * square(context.scalars[1]), 1e-30);
    const Value factor = minimum(sqrt(o_.kl_clip / size), 1.0);
    for (const auto& layer : changed) {
      updates[layer.weight] = updates[layer.weight] * factor;
      if (layer.bias) updates[*layer.bias] = updates[*layer.bias] * factor;
    }
  }

 private:
  void observe(const Factors& f, const Product& product, const LayerParameters& layer,
               const Value& loss, const Value& kept) const {
    const DType dtype = f.a.dtype();
    Value a = product.inputs(dtype);
    if (layer.bias) a = concat({a, ones_like(slice(a, 1, 0, 1))}, 1);
    const Value g = product.output_gradient(loss, dtype);
    // g is that of the mean over n samples: 1 / n of each sample's own.
    Value n = scalar(static_cast<double>(product.samples()), dtype);
    if (a.per_shard()) n = n * shard_count(dtype);
    const Value now_a = all_reduce_sum(matmul(a, a, true)) / n;
    const Value now_g =
        all_reduce_sum(matmul(g, g, true)) * (n * (1 / static_cast<double>(product.places())));
    f.a = kept * f.a + (1.0 - kept) * now_a;
    f.g = kept * f.g + (1.0 - kept) * now_g;
  }

  void refresh(const Factors& f) const {
    const auto n = f.a.shape()[0], m = f.g.shape()[0];
    const DType dtype = f.a.dtype();
    // A factor that is still nothing would give no number.
    const Value mean_a = maximum(trace_of(f.a) / static_cast<double>(n), 1e-30),
                mean_g = maximum(trace_of(f.g) / static_cast<double>(m), 1e-30);
    const Value pi = sqrt(mean_a) / sqrt(mean_g);
    const double root = std::sqrt(o_.damping);
    f.inverse_a = solve_spd(f.a + pi * root * eye(n, dtype), eye(n, dtype));
    f.inverse_g = solve_spd(f.g + root / pi * eye(m, dtype), eye(m, dtype));
  }

  // [outputs, inputs], the bias as the last column.
  static Value matrix_of(const Values& updates, const LayerParameters& layer) {
    const Value w = reshape(updates[layer.weight], {layer.outputs, -1});
    if (!layer.bias) return w;
    return concat({w, reshape(updates[*layer.bias], {layer.outputs, 1})}, 1);
  }
  static void assign(Values& updates, const LayerParameters& layer, const Value& matrix) {
    Value& w = updates[layer.weight];
    const auto columns = layer.inputs - (layer.bias ? 1 : 0);
    w = reshape(layer.bias ? slice(matrix, 1, 0, columns) : matrix, w.shape());
    if (!layer.bias) return;
    updates[*layer.bias] = reshape(slice(matrix, 1, columns, columns + 1), {layer.outputs});
  }

  KfacScale o_;
  Schedule rate_;
};

Optimizer with_momentum(const KfacScale& o, const Rate& rate) {
  std::vector<Optimizer> links{scale_by_kfac(o, rate)};
  if (o.momentum != 0) links.push_back(trace({.momentum = o.momentum}));
  return chain(std::move(links));
}

}  // namespace

Optimizer scale_by_kfac(KfacScale o, const Rate& rate) {
  require_positive("kfac", "damping", o.damping);
  require_fraction("kfac", "decay", o.decay);
  require_fraction("kfac", "momentum", o.momentum);
  require_not_negative("kfac", "kl_clip", o.kl_clip);
  require_positive("kfac", "refresh", static_cast<double>(o.refresh));
  require_positive("kfac", "observe", static_cast<double>(o.observe));
  return std::make_shared<Kfac>(o, rate.schedule());
}

Optimizer kfac(const KfacOptions& o) {
  return around(with_momentum(o.scale, o.lr),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_kfac(OptimizerRegistry& registry) {
  const auto whole_number = [](std::string key, std::int64_t fallback, std::string help) {
    return Option{.key = std::move(key),
                  .type = OptionType::integer,
                  .fallback = fallback,
                  .help = std::move(help),
                  .min = 1};
  };
  OptimizerRow row{
      .name = "kfac",
      .help =
          "natural gradient with Kronecker factors for linear and convolutional layers, SGD for "
          "the rest (Martens & Grosse 2015)",
      .lr = 0.1,
      .options = {
          number_option("damping", 1e-3, "added to the Fisher matrix"),
          number_option("decay", 0.95, "decay of the averages of the factors", 0, 1),
          number_option("momentum", 0.9, "part of the last direction that is kept", 0, 1),
          number_option("kl_clip", 1e-3, "bound of lr^2 * direction * gradient; 0: off"),
          whole_number("refresh", 10, "steps from one computation of the inverses to the next"),
          whole_number("observe", 1, "steps from one look at the factors to the next"),
          whole_number("max_dim", 1024, "layers with more inputs or outputs follow SGD"),
          {.key = "fisher",
           .type = OptionType::text,
           .fallback = std::string("sampled"),
           .help = "whose targets the outputs' gradients are of: drawn from the model's "
                   "distribution, or the batch's",
           .choices = {"sampled", "empirical"}}}};
  // The rate enters kl_clip.
  row.whole = [](const Options& o, const Schedule& rate) {
    return chain({with_momentum({.damping = o.number("damping"),
                                 .decay = o.number("decay"),
                                 .momentum = o.number("momentum"),
                                 .kl_clip = o.number("kl_clip"),
                                 .refresh = o.integer("refresh"),
                                 .observe = o.integer("observe"),
                                 .max_dim = o.integer("max_dim"),
                                 .sampled = o.text("fisher") == "sampled"},
                                rate),
                  scale_by_schedule(rate)});
  };
  add_optimizer(registry, row);
}

}  // namespace descent::optim
