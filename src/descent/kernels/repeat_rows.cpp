#include "descent/kernels/repeat_rows.h"

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/repeat_rows.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// The vector is loaded once and stored into every row: copies of what was just written would wait
// for it.
void RepeatRows(const std::uint32_t* from, std::int64_t n, std::int64_t rows, std::uint32_t* to) {
  const hn::ScalableTag<std::uint32_t> d;
  static_assert(hn::MaxLanes(d) <= kRepeatSlack);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto store = [&](hn::Vec<decltype(d)> v, std::int64_t at) {
    std::uint32_t* p = to + at;
    for (std::int64_t i = 0; i < rows; ++i, p += n) hn::StoreU(v, d, p);
  };
  // Row by row the next one overwrites what was too much.
  if (n < lanes) return store(LoadSome(d, from, static_cast<std::size_t>(n)), 0);
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes) store(hn::LoadU(d, from + j), j);
  if (j < n) store(hn::LoadU(d, from + n - lanes), n - lanes);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(RepeatRows);
void repeat_rows(const std::uint32_t* from, std::int64_t n, std::int64_t rows, std::uint32_t* to) {
  HWY_DYNAMIC_DISPATCH(RepeatRows)(from, n, rows, to);
}
}  // namespace descent::kernels
#endif
