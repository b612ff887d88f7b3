// Texts from a language model, token by token.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "descent/data/tokenizer.h"
#include "descent/train/saved_model.h"

namespace descent::train {

// p_i = softmax(logits / temperature)_i, first of the top_k largest alone, then of the fewest most
// probable ones that together have top_p (Holtzman et al. 2020, "nucleus"). Equal ones: the smaller
// number first.
struct Sampling {
  double temperature = 1;  // 0: the most probable token, always
  std::int64_t top_k = 0;  // 0: all
  double top_p = 1;
};
// Throws a usage error where a number has no meaning.
void check(const Sampling& sampling);
// The index that u, uniform on [0, 1), draws.
std::int64_t draw(std::span<const double> logits, const Sampling& sampling, double u);

class Generator {
 public:
  // What it borrows must outlive it. Throws a usage error where the model is no language model.
  // cache = false: compute the whole window for every token, as is done where a layer has no way to
  // go on from what it kept (nn/decode.h).
  explicit Generator(const SavedModel& model, bool cache = true);
  ~Generator();
  bool cached() const;

  // Logits of the token that follows. Of more tokens than the model's context only the last ones
  // count: from then on every token takes a pass over the whole window. Valid until the next call.
  std::span<const double> next(std::span<const data::Token> tokens);
  // Appends up to `count` tokens, each told to `told` as it comes, which may stop it by false. The
  // k-th one is drawn with a number of (seed, k) alone: the same prompt, options and seed give the
  // same tokens.
  void generate(std::vector<data::Token>& tokens, std::int64_t count, const Sampling& sampling,
                std::uint64_t seed, const std::function<bool(data::Token)>& told);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace descent::train
