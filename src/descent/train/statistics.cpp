#include "descent/train/statistics.h"

#include <algorithm>
#include <cstring>

#include "descent/base/random.h"
#include "descent/train/setup.h"

namespace descent::train {

BatchStatistics::BatchStatistics(const Job& job, std::int64_t seed, const nn::Tree& parameters,
                                 nn::Tree& buffers, StepOptions options, std::int64_t batches)
    : job_(job),
      seed_(seed),
      parameters_(parameters),
      buffers_(buffers),
      options_(std::move(options)),
      key_(DType::int64, {}) {
  options_.rematerialise = false;  // there is no backward pass
  const auto loader = make_loader(job_, seed_);
  batches_ = std::min(batches, loader->batches_per_epoch());
  for (const bool trained : {true, false}) {
    for (const auto& v : job_.variables) {
      if (v.trained == trained) variables_.push_back(v);
    }
  }
  Values symbols;
  for (const auto& i : inputs(job_.batch.shape, 1)) symbols.push_back(input(i.type, i.name));
  const auto updated = trace(symbols);
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (updated.contains(buffers_[i].first)) updated_.push_back(i);
  }
}

std::map<std::string, Value> BatchStatistics::trace(ValueSpan in) const {
  const std::size_t n = variables_.size();
  nn::Scope scope = bind_scope(variables_, in.first(n), true, in[n], options_);
  scope.batch_statistics = true;
  (*job_.model)(scope, in[n + 1]);
  return scope.updated();
}

// Parameters, buffers, key, features.
std::vector<PlanInput> BatchStatistics::inputs(const Shape& features, int shards) const {
  std::vector<PlanInput> in;
  for (const auto* tree : {&parameters_, static_cast<const nn::Tree*>(&buffers_)}) {
    for (const auto& [name, array] : *tree)
      in.push_back({{array.dtype(), array.shape(), false}, name, array});
  }
  in.push_back({{DType::int64, {}, false}, "key", key_});
  Shape part = features;
  part[0] /= shards;
  in.push_back({{job_.batch.dtype, part, true}, "features", {}});
  return in;
}

Plan& BatchStatistics::plan_for(const data::Batch& batch) {
  Plan& plan = plans_[batch.rows];
  if (plan) return plan;
  const int shards = shards_for(batch.rows, options_.shards);
  plan = compile(
      [&](ValueSpan in) {
        auto updated = trace(in);
        Values out;
        for (const auto i : updated_) out.push_back(updated.at(buffers_[i].first));
        return out;
      },
      inputs(batch.features.shape(), shards),
      {.shards = shards, .pool = options_.pool, .without = options_.without_passes});
  return plan;
}

void BatchStatistics::estimate() {
  std::vector<std::vector<double>> sums;
  for (const auto i : updated_)
    sums.emplace_back(static_cast<std::size_t>(buffers_[i].second.size()), 0.0);
  const auto loader = make_loader(job_, seed_);
  const auto key = fold_in(static_cast<std::uint64_t>(seed_), hash_text("statistics"));
  double rows = 0;
  for (std::int64_t b = 0; b < batches_; ++b) {
    const data::Batch& batch = loader->next();
    Plan& plan = plan_for(batch);
    key_.as<std::int64_t>()[0] =
        static_cast<std::int64_t>(fold_in(key, static_cast<std::uint64_t>(b)));
    const Array to = plan.input(static_cast<int>(variables_.size()) + 1);
    std::memcpy(to.raw(), batch.features.raw(), batch.features.bytes());
    plan.run();
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const Array found = plan.output(static_cast<int>(k));
      for (std::size_t j = 0; j < sums[k].size(); ++j)
        sums[k][j] += static_cast<double>(batch.rows) * found.item(static_cast<std::int64_t>(j));
    }
    rows += static_cast<double>(batch.rows);
  }
  for (std::size_t k = 0; k < sums.size(); ++k) {
    for (std::size_t j = 0; j < sums[k].size(); ++j)
      buffers_[updated_[k]].second.set_item(static_cast<std::int64_t>(j), sums[k][j] / rows);
  }
}

}  // namespace descent::train
