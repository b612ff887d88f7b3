#include "descent/kernels/broadcast_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "descent/base/error.h"
#include "descent/kernels/repeat_rows.h"

namespace descent::kernels {
namespace {
constexpr std::size_t kMaxAxes = 16;
}

BroadcastPattern::BroadcastPattern(const Shape& from, const Shape& to, std::size_t element_bytes)
    : element_(element_bytes) {
  const auto fits = broadcast(from, to);
  if (!fits || *fits != to) {
    throw Error(ErrorKind::internal,
                fmt::format("[TileProgram] an input of shape {} does not broadcast to {}",
                            to_string(from), to_string(to)));
  }
  std::int64_t step = 1;
  for (int k = 1; k <= to.rank(); ++k) {  // from the last axis to the first
    const std::int64_t extent = to[-k];
    const bool repeated = k > from.rank() || from[-k] != extent;
    if (extent != 1) {
      const bool joins = !axes_.empty() && (axes_.back().step == 0) == repeated;
      if (joins) {
        axes_.back().extent *= extent;
      } else {
        axes_.push_back({extent, repeated ? 0 : step});
      }
    }
    if (!repeated) step *= extent;
  }
  if (axes_.size() > kMaxAxes) {
    throw Error(ErrorKind::internal, "[TileProgram] too many axes: " + to_string(to));
  }
  dense_ = axes_.empty() || (axes_.size() == 1 && axes_[0].step != 0);
  // The outermost axis alone may be pure repetition, since neighbours are joined.
  for (std::size_t k = 0; k < axes_.size(); ++k) {
    if (k + 1 < axes_.size() || axes_[k].step != 0) period_ *= axes_[k].extent;
  }
}

// A column repeated along rows: runs of one value.
template <class E>
void BroadcastPattern::fill_columns(const E* from, std::int64_t first, std::int64_t count,
                                    E* to) const {
  const std::int64_t extent = axes_[0].extent;
  const E* p = from + first / extent;
  E* const end = to + count;
  std::int64_t run = std::min(count, extent - first % extent);
  std::fill_n(to, run, *p);
  to += run;
  if (extent <= kSlack) {
    // Always kSlack elements: a few vector stores without a loop; the next run overwrites the rest.
    for (; to < end; to += extent) std::fill_n(to, kSlack, *++p);
    return;
  }
  for (; to < end; to += run) {
    run = std::min<std::int64_t>(extent, end - to);
    std::fill_n(to, run, *++p);
  }
}

template <class E>
void BroadcastPattern::fill_as(const E* from, std::int64_t first, std::int64_t count, E* to) const {
  if (axes_.empty() || (axes_.size() == 1 && axes_[0].step == 0)) {
    std::fill_n(to, count, *from);
    return;
  }
  if (axes_.size() == 2 && axes_[0].step == 0) return fill_columns(from, first, count, to);
  std::array<std::int64_t, kMaxAxes> index{};
  std::int64_t offset = 0;
  for (std::size_t k = 0; k < axes_.size(); ++k) {
    index[k] = first % axes_[k].extent;
    first /= axes_[k].extent;
    offset += index[k] * axes_[k].step;
  }
  const Axis inner = axes_[0];
  while (count > 0) {
    const std::int64_t run = std::min(count, inner.extent - index[0]);
    if (inner.step == 0) {
      std::fill_n(to, run, from[offset]);
    } else {
      std::copy_n(from + offset, run, to);
    }
    to += run;
    count -= run;
    offset -= index[0] * inner.step;  // to the begin of the next run
    index[0] = 0;
    for (std::size_t k = 1; k < axes_.size(); ++k) {
      offset += axes_[k].step;
      if (++index[k] < axes_[k].extent) break;
      offset -= axes_[k].extent * axes_[k].step;
      index[k] = 0;
    }
  }
}

void BroadcastPattern::fill(const void* from, std::int64_t first, std::int64_t count,
                            void* to) const {
  const auto as = [&](auto e) {
    using E = decltype(e);
    fill_as(static_cast<const E*>(from), first, count, static_cast<E*>(to));
  };
  switch (element_) {
    case 1:
      return as(std::uint8_t{});
    case 2:
      return as(std::uint16_t{});
    case 4:
      return as(std::uint32_t{});
    default:
      return as(std::uint64_t{});
  }
}

void BroadcastPattern::repeat(const void* from, std::int64_t count, void* to) const {
  if (period_ == 1 && element_ == 4) {  // the scalars of an optimizer: most of all cases
    const float value = *static_cast<const float*>(from);
    auto* out = static_cast<float*>(to);
    for (std::int64_t i = 0; i < count; i += kSlack) std::fill_n(out + i, kSlack, value);
    return;
  }
  std::int64_t once = std::min(count, period_);
  if (axes_.size() == 2 && axes_[0].step == 1 && element_ % 4 == 0 && count > period_) {
    // Copies of what was just written wait for it: not until it is some lines long.
    constexpr std::int64_t enough = 512;
    static_assert(kRepeatSlack <= kSlack);
    const auto words = static_cast<std::int64_t>(element_) / 4 * period_;
    const std::int64_t rows = std::min(count / period_, std::max<std::int64_t>(1, enough / words));
    repeat_rows(static_cast<const std::uint32_t*>(from), words, rows,
                static_cast<std::uint32_t*>(to));
    once = rows * period_;
  } else {
    fill(from, 0, once, to);
  }
  auto* bytes = static_cast<std::byte*>(to);
  const auto size = static_cast<std::int64_t>(element_);
  for (std::int64_t done = once * size, all = count * size; done < all;) {
    const std::int64_t more = std::min(done, all - done);
    std::memcpy(bytes + done, bytes, static_cast<std::size_t>(more));
    done += more;
  }
}

const void* BroadcastPattern::find(const void* from, std::int64_t first, std::int64_t count,
                                   void* to) const {
  // A row repeated: most tiles lie inside one copy of it.
  if (axes_.size() == 2 && axes_[0].step == 1) {
    const std::int64_t begin = first % axes_[0].extent;
    if (begin + count <= axes_[0].extent) {
      return static_cast<const std::byte*>(from) + static_cast<std::size_t>(begin) * element_;
    }
  }
  fill(from, first, count, to);
  return to;
}

}  // namespace descent::kernels
