#include "descent/kernels/broadcast_pattern.h"

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;

// Element i of `from` broadcast to `to`, both of rank 3.
std::int64_t place(const Shape& from, const Shape& to, std::int64_t i) {
  std::int64_t at = 0, step = 1;
  for (int k = 2; k >= 0; --k) {
    if (from[k] != 1) at += i % to[k] * step;
    i /= to[k];
    step *= from[k];
  }
  return at;
}

template <class E>
void check(const Shape& from, const Shape& to) {
  const BroadcastPattern pattern(from, to, sizeof(E));
  Guarded<E> x(from.size());
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<E>(i + 1);
  for (const std::int64_t count : {to.size(), to.size() / 2 + 1, std::int64_t{1}}) {
    Guarded<E> y(count + BroadcastPattern::kSlack);
    pattern.repeat(x.data(), count, y.data());
    ASSERT_TRUE(x.intact() && y.intact()) << to_string(from) << " to " << to_string(to);
    for (std::int64_t i = 0; i < count; ++i)
      ASSERT_EQ(y[i], x[place(from, to, i)])
          << to_string(from) << " to " << to_string(to) << " at " << i << " of " << count;
  }
}

TEST(BroadcastPattern, RepeatsWhatIsStretched) {
  for (const std::int64_t rows : {1, 2, 5, 10, 33, 100}) {
    for (const std::int64_t columns : {1, 2, 3, 8, 15, 16, 17, 40, 64, 100, 600}) {
      for (const auto& [a, b, c] :
           {std::array<bool, 3>{false, false, true}, {false, true, true}, {false, true, false}}) {
        const Shape to{2, rows, columns}, from{a ? 2 : 1, b ? rows : 1, c ? columns : 1};
        check<std::uint8_t>(from, to);
        check<std::uint16_t>(from, to);
        check<std::uint32_t>(from, to);
        check<std::uint64_t>(from, to);
      }
    }
  }
}

}  // namespace
}  // namespace descent::kernels
