#include "descent/kernels/register_programs.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "descent/kernels/register_patterns.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/register_programs.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_loops-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

template <Eltwise Code, class D, class V>
HWY_INLINE V Apply(D d, V a, V b, V c) {
#define ROW(name) \
  if constexpr (Code == Eltwise::name) return Row_##name()(d, a, b, c);
#define ELTWISE1(name, kernel, dx) ROW(name)
#define NUMERIC1(name, kernel, dx) ROW(name)
#define ELTWISE2(name, kernel, da, db) ROW(name)
#define NUMERIC2(name, kernel, da, db) ROW(name)
#define NUMERIC3(name, kernel, dm, da, db) ROW(name)
#include "descent/kernels/eltwise_table.h"
#undef ROW
}

// The pattern's steps on one vector of each operand; r holds the inputs first.
template <std::size_t K, std::size_t... I, class D, class V>
HWY_INLINE void Steps(D d, V* HWY_RESTRICT r, std::index_sequence<I...>) {
  constexpr const RegisterPattern& P = kPatterns[K];
  constexpr std::size_t inputs = P.inputs.size();
  ((r[inputs + I] = Apply<P.steps[I].code>(d, r[P.steps[I].a], r[P.steps[I].b], r[P.steps[I].c])),
   ...);
}

template <std::size_t K, std::size_t... I, class D, class V>
HWY_INLINE void LoadDense(D d, const void* const* in, std::int64_t at, std::size_t count, V* r,
                          std::index_sequence<I...>) {
  constexpr const RegisterPattern& P = kPatterns[K];
  [[maybe_unused]] const auto load = [&](std::size_t i) HWY_ATTR {
    const auto* p = static_cast<const float*>(in[i]) + at;
    return count == hn::Lanes(d) ? hn::LoadU(d, p) : LoadSome(d, p, count);
  };
  ((P.inputs[I] == 'd' ? void(r[I] = load(I)) : void()), ...);
}

template <std::size_t K>
void Run(const void* const* in, void* const* out, std::int64_t begin, std::int64_t end) {
  constexpr const RegisterPattern& P = kPatterns[K];
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::size_t inputs = P.inputs.size();
  constexpr auto length = static_cast<std::size_t>(P.length);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V r[inputs + length];
  for (std::size_t i = 0; i < inputs; ++i) {
    if (P.inputs[i] == 's') r[i] = hn::Set(d, *static_cast<const float*>(in[i]));
  }
  for (std::int64_t at = begin; at < end; at += lanes) {
    const auto count = static_cast<std::size_t>(std::min(lanes, end - at));
    LoadDense<K>(d, in, at, count, r, std::make_index_sequence<inputs>());
    Steps<K>(d, r, std::make_index_sequence<length>());
#pragma GCC unroll 4
    for (int q = 0; q < P.results; ++q) {
      auto* p = static_cast<float*>(out[q]) + at;
      const V v = r[P.outputs[static_cast<std::size_t>(q)]];
      if (count == hn::Lanes(d)) {
        hn::StoreU(v, d, p);
      } else {
        StoreSome(v, d, p, count);
      }
    }
  }
}

const RegisterFn* FindRuns() {
  static constexpr std::array<RegisterFn, kPatterns.size()> runs =
      []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<RegisterFn, kPatterns.size()>{&Run<I>...};
  }
  (std::make_index_sequence<kPatterns.size()>());
  return runs.data();
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(FindRuns);

bool commutes(Eltwise code) { return code == Eltwise::add || code == Eltwise::mul; }

// Finds which operand of a program each operand of a pattern is, from the results down.
class Matcher {
 public:
  Matcher(const RegisterPattern& pattern, std::string_view inputs,
          std::span<const RegisterStep> steps)
      : pattern_(pattern), inputs_(inputs), steps_(steps) {}

  // The program's inputs and outputs in the pattern's order; nothing where they differ.
  std::optional<std::pair<std::vector<int>, std::vector<int>>> match_all(
      std::span<const int> outputs) {
    if (pattern_.inputs.size() < inputs_.size() ||
        pattern_.length != static_cast<int>(steps_.size()) ||
        pattern_.results != static_cast<int>(outputs.size())) {
      return std::nullopt;
    }
    std::vector<int> order(outputs.size());
    std::iota(order.begin(), order.end(), 0);
    do {
      if (matches(outputs, order)) {
        const auto end = bound_.begin() + static_cast<std::ptrdiff_t>(pattern_.inputs.size());
        return std::pair{std::vector<int>(bound_.begin(), end), order};
      }
    } while (std::next_permutation(order.begin(), order.end()));
    return std::nullopt;
  }

 private:
  bool matches(std::span<const int> outputs, const std::vector<int>& order) {
    bound_.assign(pattern_.inputs.size() + static_cast<std::size_t>(pattern_.length), -1);
    // The state's results first: they tell the state from the gradient, which a sum of both does
    // not.
    for (std::size_t i = outputs.size(); i-- > 0;) {
      if (!match(pattern_.outputs[i], outputs[static_cast<std::size_t>(order[i])])) return false;
    }
    return std::find(bound_.begin(), bound_.end(), -1) == bound_.end();
  }
  bool match(int p, int q) {
    int& known = bound_[static_cast<std::size_t>(p)];
    if (known >= 0) return known == q;
    const auto own = static_cast<int>(pattern_.inputs.size()),
               given = static_cast<int>(inputs_.size());
    // Equal constants are one input: a weight decay of 0.1 and 1 - b1.
    const bool scalar = q < given && inputs_[static_cast<std::size_t>(q)] == 's';
    if (!scalar && std::find(bound_.begin(), bound_.end(), q) != bound_.end()) return false;
    if (p < own) {
      if (q >= given ||
          pattern_.inputs[static_cast<std::size_t>(p)] != inputs_[static_cast<std::size_t>(q)])
        return false;
      known = q;
      return true;
    }
    if (q < given) return false;
    const RegisterStep &x = pattern_.steps[static_cast<std::size_t>(p - own)],
                       &y = steps_[static_cast<std::size_t>(q - given)];
    if (x.code != y.code) return false;
    const std::vector<int> before = bound_;
    bound_[static_cast<std::size_t>(p)] = q;
    if (operands(x, y.a, y.b, y.c)) return true;
    if (!commutes(x.code)) return false;
    bound_ = before;
    bound_[static_cast<std::size_t>(p)] = q;
    return operands(x, y.b, y.a, y.c);
  }
  bool operands(const RegisterStep& x, int a, int b, int c) {
    const int arity = info(x.code).arity;
    return (arity < 3 || match(x.c, c)) && (arity < 2 || match(x.b, b)) && match(x.a, a);
  }

  const RegisterPattern& pattern_;
  std::string_view inputs_;
  std::span<const RegisterStep> steps_;
  std::vector<int> bound_;  // of each operand of the pattern, the program's; -1: none yet
};

}  // namespace

std::span<const RegisterPattern> register_patterns() { return kPatterns; }

RegisterProgram register_program(std::string_view inputs, std::span<const RegisterStep> steps,
                                 std::span<const int> outputs) {
  for (std::size_t k = 0; k < kPatterns.size(); ++k) {
    auto found = Matcher(kPatterns[k], inputs, steps).match_all(outputs);
    if (found) {
      return {HWY_DYNAMIC_DISPATCH(FindRuns)()[k], std::move(found->first),
              std::move(found->second)};
    }
  }
  return {};
}

}  // namespace descent::kernels
#endif
