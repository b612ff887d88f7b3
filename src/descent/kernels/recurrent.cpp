#include "descent/kernels/recurrent.h"

#include <algorithm>
#include <cstring>

#include "descent/base/memory.h"
#include "descent/kernels/packed_product.h"
#include "descent/kernels/recurrent_cells.h"

namespace descent::kernels {
namespace {

// Parts of a scratch, one after another; without one it only counts.
class Parts {
 public:
  explicit Parts(void* base) : base_(static_cast<std::byte*>(base)) {}
  std::byte* take(std::size_t bytes) {
    std::byte* const part = base_ == nullptr ? nullptr : base_ + size_;
    size_ += align_up(bytes);
    return part;
  }
  std::size_t size() const { return size_; }

 private:
  std::byte* base_;
  std::size_t size_ = 0;
};

bool two_products(const RecurrentShape& s) { return s.cell == Cell::gru_reset_before; }
// Gates whose product takes the state as it is: the first ones.
std::int64_t gates_of_state(const RecurrentShape& s) { return two_products(s) ? 2 : s.gates(); }

// p_t = h_(t-1) W_hh^T: one weight for all steps.
PackedProduct forward_product(const RecurrentShape& s) {
  return PackedProduct({s.rows, s.units, gates_of_state(s) * s.units, true, s.dtype, s.operands});
}
// dh_(t-1) = dp_t W_hh.
PackedProduct backward_product(const RecurrentShape& s) {
  return PackedProduct({s.rows, gates_of_state(s) * s.units, s.units, false, s.dtype, s.operands});
}
// (r h') W_hn^T, and back: the second product of gru_reset_before.
PackedProduct candidate_product(const RecurrentShape& s, bool forward) {
  return PackedProduct({s.rows, s.units, s.units, forward, s.dtype, s.operands});
}
// W_hn in W_hh.
template <class T>
const T* candidate_weight(const RecurrentShape& s, const void* weight) {
  return static_cast<const T*>(weight) + gates_of_state(s) * s.units * s.units;
}

// Step number k of the walk, and where the state before it lies.
struct Walk {
  std::int64_t steps;
  bool reverse;
  std::int64_t step(std::int64_t k) const { return reverse ? steps - 1 - k : k; }
};
Walk walk_of(const RecurrentShape& s) { return {s.steps, s.reverse}; }

template <class T>
const T* at(const void* all, std::int64_t step, std::int64_t size) {
  return all == nullptr ? nullptr : static_cast<const T*>(all) + step * size;
}
template <class T>
T* at(void* all, std::int64_t step, std::int64_t size) {
  return all == nullptr ? nullptr : static_cast<T*>(all) + step * size;
}

struct ForwardScratch {
  ForwardScratch(const RecurrentShape& s, void* base) {
    Parts parts(base);
    const auto state = static_cast<std::size_t>(s.rows * s.units) * size_of(s.dtype);
    product = parts.take(static_cast<std::size_t>(gates_of_state(s)) * state);
    zeros = parts.take(state);
    bias = parts.take(static_cast<std::size_t>(4 * s.units) * size_of(s.dtype));
    packed = parts.take(forward_product(s).scratch_bytes());
    if (two_products(s)) {
      candidate = parts.take(state);
      packed_candidate = parts.take(candidate_product(s, true).scratch_bytes());
    }
    bytes = parts.size();
  }
  std::byte *product, *zeros, *bias, *packed, *candidate = nullptr, *packed_candidate = nullptr;
  std::size_t bytes;
};

struct BackwardScratch {
  BackwardScratch(const RecurrentShape& s, void* base) {
    Parts parts(base);
    const auto state = static_cast<std::size_t>(s.rows * s.units) * size_of(s.dtype);
    for (std::byte** part : {&product, &direct, &dc, &zeros}) *part = parts.take(state);
    packed = parts.take(backward_product(s).scratch_bytes());
    if (two_products(s)) {
      for (std::byte** part : {&candidate, &reset}) *part = parts.take(state);
      rz = parts.take(2 * state);
      packed_candidate = parts.take(candidate_product(s, false).scratch_bytes());
    }
    bytes = parts.size();
  }
  std::byte *product, *direct, *dc, *zeros, *packed;
  std::byte *candidate = nullptr, *reset = nullptr, *rz = nullptr, *packed_candidate = nullptr;
  std::size_t bytes;
};

template <class T>
struct Forward {
  RecurrentShape shape;
  RecurrentForward m;
  ForwardScratch scratch;
  PackedProduct::Bound product, candidate;
  CellFunctions<T> cell;

  // b_ih + b_hh; the two of a GRU's n stay apart.
  void add_biases() const {
    const auto *ih = static_cast<const T*>(m.bias_ih), *hh = static_cast<const T*>(m.bias_hh);
    auto* sum = reinterpret_cast<T*>(scratch.bias);
    const bool gru = shape.cell == Cell::gru;
    const std::int64_t together = (gru ? 2 : shape.gates()) * shape.units;
    for (std::int64_t i = 0; i < together; ++i) sum[i] = ih[i] + hh[i];
    if (!gru) return;
    std::copy_n(ih + together, shape.units, sum + together);
    std::copy_n(hh + together, shape.units, sum + together + shape.units);
  }

  void operator()() const {
    const std::int64_t state = shape.rows * shape.units, gates = shape.gates() * state;
    std::memset(scratch.zeros, 0, static_cast<std::size_t>(state) * sizeof(T));
    const auto state_bytes = static_cast<std::size_t>(state) * sizeof(T);
    std::memset(scratch.product, 0, static_cast<std::size_t>(gates_of_state(shape)) * state_bytes);
    if (scratch.candidate != nullptr) std::memset(scratch.candidate, 0, state_bytes);
    add_biases();
    product.pack(m.weight);
    if (candidate.pack) candidate.pack(candidate_weight<T>(shape, m.weight));
    const auto* zeros = reinterpret_cast<const T*>(scratch.zeros);
    const T* h = m.h0 != nullptr ? static_cast<const T*>(m.h0) : zeros;
    const T* c = m.c0 != nullptr ? static_cast<const T*>(m.c0) : zeros;
    for (std::int64_t k = 0; k < shape.steps; ++k) {
      const std::int64_t t = walk_of(shape).step(k);
      if (h != zeros) product.run(h);
      const CellForward<T> step{.rows = shape.rows,
                                .units = shape.units,
                                .inputs = at<T>(m.inputs, t, gates),
                                .product = reinterpret_cast<const T*>(scratch.product),
                                .bias = reinterpret_cast<const T*>(scratch.bias),
                                .h_before = h,
                                .c_before = c,
                                .gates = at<T>(m.gates, t, gates),
                                .h = at<T>(m.h, t, state),
                                .extra = at<T>(m.extra, t, state),
                                .candidate = reinterpret_cast<const T*>(scratch.candidate)};
      if (cell.forward_first != nullptr) {
        cell.forward_first(step);
        if (h != zeros) candidate.run(step.extra);
      }
      cell.forward(step);
      if (m.mask != nullptr) keep_state(step, m.mask + t * shape.rows);
      h = step.h;
      if (shape.cell == Cell::lstm) c = step.extra;
    }
  }

  void keep_state(const CellForward<T>& step, const bool* mask) const {
    for (std::int64_t row = 0; row < step.rows; ++row) {
      if (mask[row]) continue;
      const std::int64_t first = row * step.units;
      std::copy_n(step.h_before + first, step.units, step.h + first);
      if (shape.cell == Cell::lstm)
        std::copy_n(step.c_before + first, step.units, step.extra + first);
    }
  }
};

template <class T>
struct Backward {
  RecurrentShape shape;
  RecurrentBackward m;
  BackwardScratch scratch;
  PackedProduct::Bound product, candidate;
  CellFunctions<T> cell;

  T* part(std::byte* p) const { return reinterpret_cast<T*>(p); }
  void forget_the_future() const {
    const auto bytes = static_cast<std::size_t>(shape.rows * shape.units) * sizeof(T);
    for (std::byte* p : {scratch.product, scratch.direct, scratch.dc}) std::memset(p, 0, bytes);
  }

  void operator()() const {
    const std::int64_t state = shape.rows * shape.units;
    std::memset(scratch.zeros, 0, static_cast<std::size_t>(state) * sizeof(T));
    forget_the_future();
    product.pack(m.weight);
    if (candidate.pack) candidate.pack(candidate_weight<T>(shape, m.weight));
    for (std::int64_t k = shape.steps - 1; k >= 0; --k) {
      const CellBackward<T> step = step_at(k);
      const bool* mask = m.mask == nullptr ? nullptr : m.mask + walk_of(shape).step(k) * shape.rows;
      if (cell.backward_first != nullptr) {
        std::fill_n(step.d_candidate, state, T{});
        std::fill_n(step.d_rz, 2 * state, T{});
        for_rows(step, mask, cell.backward_first, [](const CellBackward<T>&) {});
        candidate.run(step.d_candidate);
      }
      for_rows(step, mask, cell.backward, [this](const CellBackward<T>& row) { passed_by(row); });
      if (k > 0 && shape.truncate > 0 && k % shape.truncate == 0) {
        forget_the_future();
      } else if (k > 0 || m.dh0 != nullptr) {
        product.run(two_products(shape)       ? step.d_rz
                    : shape.cell == Cell::gru ? step.d_products
                                              : step.d_inputs);
      }
    }
    give_initial();
  }

  CellBackward<T> step_at(std::int64_t k) const {
    const std::int64_t state = shape.rows * shape.units, gates = shape.gates() * state;
    const Walk walk = walk_of(shape);
    const std::int64_t t = walk.step(k);
    const auto before = [&](const void* initial, const void* all) {
      if (k > 0) return at<T>(all, walk.step(k - 1), state);
      return initial != nullptr ? static_cast<const T*>(initial) : part(scratch.zeros);
    };
    return {.rows = shape.rows,
            .units = shape.units,
            .dh_out = at<T>(m.dh, t, state),
            .dc_out = at<T>(m.dc, t, state),
            .dh_product = part(scratch.product),
            .dh_direct = part(scratch.direct),
            .dc = part(scratch.dc),
            .h = at<T>(m.h, t, state),
            .gates = at<T>(m.gates, t, gates),
            .extra = at<T>(m.extra, t, state),
            .h_before = before(m.h0, m.h),
            .c_before = shape.cell == Cell::lstm ? before(m.c0, m.extra) : nullptr,
            .d_inputs = at<T>(m.d_inputs, t, gates),
            .d_products = at<T>(m.d_products, t, gates),
            .dh_before = part(scratch.direct),
            .d_candidate = part(scratch.candidate),
            .d_reset = part(scratch.reset),
            .d_rz = part(scratch.rz)};
  }

  // taken(rows) for the rows that took the step, left_out(row) for each of the others.
  template <class Taken, class LeftOut>
  void for_rows(const CellBackward<T>& all, const bool* mask, const Taken& taken,
                const LeftOut& left_out) const {
    if (mask == nullptr) return taken(all);
    const std::int64_t units = shape.units, gates = shape.gates() * units;
    const auto row_of = [](auto* p, std::int64_t offset) { return p == nullptr ? p : p + offset; };
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      CellBackward<T> one = all;
      one.rows = 1;
      for (auto* p : {&one.dh_out, &one.dc_out, &one.dh_product, &one.dh_direct, &one.h, &one.extra,
                      &one.h_before, &one.c_before}) {
        *p = row_of(*p, row * units);
      }
      for (auto* p : {&one.dc, &one.dh_before}) *p += row * units;
      one.d_candidate = row_of(one.d_candidate, row * units);
      one.d_reset = row_of(one.d_reset, row * units);
      one.d_rz = row_of(one.d_rz, row * 2 * units);
      for (auto* p : {&one.d_inputs, &one.d_products}) *p = row_of(*p, row * gates);
      one.gates = row_of(one.gates, row * gates);
      if (mask[row]) {
        taken(one);
      } else {
        left_out(one);
      }
    }
  }
  // The state's gradient passes by a row that did not take the step.
  void passed_by(const CellBackward<T>& row) const {
    const std::int64_t units = shape.units, gates = shape.gates() * units;
    for (std::int64_t u = 0; u < units; ++u) {
      row.dh_before[u] = row.dh_out[u] + (row.dh_product[u] + row.dh_direct[u]);
      if (row.dc_out != nullptr) row.dc[u] += row.dc_out[u];
    }
    std::fill_n(row.d_inputs, gates, T{});
    if (row.d_products != nullptr) std::fill_n(row.d_products, gates, T{});
  }

  void give_initial() const {
    const std::int64_t state = shape.rows * shape.units;
    if (m.dh0 != nullptr) {
      auto* out = static_cast<T*>(m.dh0);
      for (std::int64_t i = 0; i < state; ++i)
        out[i] = part(scratch.product)[i] + part(scratch.direct)[i];
    }
    if (m.dc0 != nullptr) std::copy_n(part(scratch.dc), state, static_cast<T*>(m.dc0));
  }
};

template <class T>
std::function<void()> bind_as(const RecurrentShape& s, const RecurrentForward& m, void* base) {
  const ForwardScratch scratch(s, base);
  Forward<T> call{s,       m,
                  scratch, forward_product(s).bind(scratch.product, scratch.packed),
                  {},      cell_functions<T>(s.cell)};
  if (two_products(s)) {
    call.candidate = candidate_product(s, true).bind(scratch.candidate, scratch.packed_candidate);
  }
  return call;
}
template <class T>
std::function<void()> bind_as(const RecurrentShape& s, const RecurrentBackward& m, void* base) {
  const BackwardScratch scratch(s, base);
  Backward<T> call{s,       m,
                   scratch, backward_product(s).bind(scratch.product, scratch.packed),
                   {},      cell_functions<T>(s.cell)};
  if (two_products(s)) {
    call.candidate = candidate_product(s, false).bind(scratch.reset, scratch.packed_candidate);
  }
  return call;
}

}  // namespace

std::size_t recurrent_forward_scratch(const RecurrentShape& shape) {
  return ForwardScratch(shape, nullptr).bytes;
}
std::size_t recurrent_backward_scratch(const RecurrentShape& shape) {
  return BackwardScratch(shape, nullptr).bytes;
}

std::function<void()> bind_recurrent(const RecurrentShape& shape, const RecurrentForward& memory,
                                     void* scratch) {
  return shape.dtype == DType::float64 ? bind_as<double>(shape, memory, scratch)
                                       : bind_as<float>(shape, memory, scratch);
}
std::function<void()> bind_recurrent(const RecurrentShape& shape, const RecurrentBackward& memory,
                                     void* scratch) {
  return shape.dtype == DType::float64 ? bind_as<double>(shape, memory, scratch)
                                       : bind_as<float>(shape, memory, scratch);
}

}  // namespace descent::kernels
