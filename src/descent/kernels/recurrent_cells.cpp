#include "descent/kernels/recurrent_cells.h"

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/recurrent_cells.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_math-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace {

// A vector's worth of units, or the rest of a row.
template <class T, bool Whole>
struct Units {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  D d;
  std::size_t count;
  HWY_INLINE V Load(const T* p) const {
    if constexpr (Whole) return hn::LoadU(d, p);
    return LoadSome(d, p, count);
  }
  HWY_INLINE void Store(V v, T* p) const {
    if constexpr (Whole)
      hn::StoreU(v, d, p);
    else
      StoreSome(v, d, p, count);
  }
  HWY_INLINE V One() const { return hn::Set(d, T{1}); }
};

// f(units, row, first unit) over all rows and units.
template <class T, class F>
HWY_INLINE void ForEachUnit(std::int64_t rows, std::int64_t units, F f) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t u = 0;
    for (; u + lanes <= units; u += lanes) f(Units<T, true>{d, 0}, row, u);
    if (u < units) f(Units<T, false>{d, static_cast<std::size_t>(units - u)}, row, u);
  }
}

// Derivatives by the results: s' = s (1 - s), t' = 1 - t^2.
template <class U, class V>
HWY_INLINE V SigmoidSlope(const U& v, V s) {
  return hn::Mul(s, hn::Sub(v.One(), s));
}
template <class U, class V>
HWY_INLINE V TanhSlope(const U& v, V t) {
  return hn::NegMulAdd(t, t, v.One());
}

template <class U, class T>
HWY_INLINE auto GradientOfH(const U& v, const CellBackward<T>& s, std::int64_t at) {
  return hn::Add(v.Load(s.dh_out + at),
                 hn::Add(v.Load(s.dh_product + at), v.Load(s.dh_direct + at)));
}

template <class T>
void LstmForward(const CellForward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 4 * units + u;
    const auto sum = [&](std::int64_t k) HWY_ATTR {
      return hn::Add(hn::Add(v.Load(s.inputs + gate + k * units), v.Load(s.bias + u + k * units)),
                     v.Load(s.product + gate + k * units));
    };
    const auto i = SigmoidOf(v.d, sum(0)), f = SigmoidOf(v.d, sum(1)), g = TanhOf(v.d, sum(2)),
               o = SigmoidOf(v.d, sum(3));
    const auto c = hn::MulAdd(f, v.Load(s.c_before + at), hn::Mul(i, g));
    v.Store(i, s.gates + gate);
    v.Store(f, s.gates + gate + units);
    v.Store(g, s.gates + gate + 2 * units);
    v.Store(o, s.gates + gate + 3 * units);
    v.Store(c, s.extra + at);
    v.Store(hn::Mul(o, TanhOf(v.d, c)), s.h + at);
  });
}

template <class T>
void LstmBackward(const CellBackward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 4 * units + u;
    const auto i = v.Load(s.gates + gate), f = v.Load(s.gates + gate + units),
               g = v.Load(s.gates + gate + 2 * units), o = v.Load(s.gates + gate + 3 * units);
    const auto dh = GradientOfH(v, s, at);
    const auto t = TanhOf(v.d, v.Load(s.extra + at));
    auto dc = v.Load(s.dc + at);
    if (s.dc_out != nullptr) dc = hn::Add(dc, v.Load(s.dc_out + at));
    dc = hn::MulAdd(hn::Mul(dh, o), TanhSlope(v, t), dc);
    const auto store = [&](std::int64_t k, auto x)
                           HWY_ATTR { v.Store(x, s.d_inputs + gate + k * units); };
    store(0, hn::Mul(hn::Mul(dc, g), SigmoidSlope(v, i)));
    store(1, hn::Mul(hn::Mul(dc, v.Load(s.c_before + at)), SigmoidSlope(v, f)));
    store(2, hn::Mul(hn::Mul(dc, i), TanhSlope(v, g)));
    store(3, hn::Mul(hn::Mul(dh, t), SigmoidSlope(v, o)));
    v.Store(hn::Mul(dc, f), s.dc + at);
    v.Store(hn::Zero(v.d), s.dh_before + at);
  });
}

template <class T>
void GruForward(const CellForward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto input = [&](std::int64_t k) HWY_ATTR {
      return hn::Add(v.Load(s.inputs + gate + k * units), v.Load(s.bias + u + k * units));
    };
    const auto product = [&](std::int64_t k)
                             HWY_ATTR { return v.Load(s.product + gate + k * units); };
    const auto r = SigmoidOf(v.d, hn::Add(input(0), product(0))),
               z = SigmoidOf(v.d, hn::Add(input(1), product(1)));
    const auto inner = hn::Add(product(2), v.Load(s.bias + u + 3 * units));
    const auto n = TanhOf(v.d, hn::MulAdd(r, inner, input(2)));
    v.Store(r, s.gates + gate);
    v.Store(z, s.gates + gate + units);
    v.Store(n, s.gates + gate + 2 * units);
    v.Store(inner, s.extra + at);
    v.Store(hn::MulAdd(z, hn::Sub(v.Load(s.h_before + at), n), n), s.h + at);
  });
}

template <class T>
void GruBackward(const CellBackward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto r = v.Load(s.gates + gate), z = v.Load(s.gates + gate + units),
               n = v.Load(s.gates + gate + 2 * units);
    const auto dh = GradientOfH(v, s, at);
    const auto dn = hn::Mul(hn::Mul(dh, hn::Sub(v.One(), z)), TanhSlope(v, n));
    const auto dz = hn::Mul(hn::Mul(dh, hn::Sub(v.Load(s.h_before + at), n)), SigmoidSlope(v, z));
    const auto dr = hn::Mul(hn::Mul(dn, v.Load(s.extra + at)), SigmoidSlope(v, r));
    for (T* d : {s.d_inputs, s.d_products}) {
      v.Store(dr, d + gate);
      v.Store(dz, d + gate + units);
    }
    v.Store(dn, s.d_inputs + gate + 2 * units);
    v.Store(hn::Mul(dn, r), s.d_products + gate + 2 * units);
    v.Store(hn::Mul(dh, z), s.dh_before + at);
  });
}

template <class T>
void ResetForward(const CellForward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto value = [&](std::int64_t k) HWY_ATTR {
      const auto input =
          hn::Add(v.Load(s.inputs + gate + k * units), v.Load(s.bias + u + k * units));
      return SigmoidOf(v.d, hn::Add(input, v.Load(s.product + row * 2 * units + u + k * units)));
    };
    const auto r = value(0), z = value(1);
    v.Store(r, s.gates + gate);
    v.Store(z, s.gates + gate + units);
    v.Store(hn::Mul(r, v.Load(s.h_before + at)), s.extra + at);
  });
}
template <class T>
void CandidateForward(const CellForward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto input = hn::Add(v.Load(s.inputs + gate + 2 * units), v.Load(s.bias + u + 2 * units));
    const auto n = TanhOf(v.d, hn::Add(input, v.Load(s.candidate + at)));
    const auto z = v.Load(s.gates + gate + units);
    v.Store(n, s.gates + gate + 2 * units);
    v.Store(hn::MulAdd(z, hn::Sub(v.Load(s.h_before + at), n), n), s.h + at);
  });
}

template <class T>
void CandidateBackward(const CellBackward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto z = v.Load(s.gates + gate + units), n = v.Load(s.gates + gate + 2 * units);
    const auto dh = GradientOfH(v, s, at);
    const auto dn = hn::Mul(hn::Mul(dh, hn::Sub(v.One(), z)), TanhSlope(v, n));
    const auto dz = hn::Mul(hn::Mul(dh, hn::Sub(v.Load(s.h_before + at), n)), SigmoidSlope(v, z));
    v.Store(dz, s.d_inputs + gate + units);
    v.Store(dn, s.d_inputs + gate + 2 * units);
    v.Store(dn, s.d_candidate + at);
    v.Store(dz, s.d_rz + row * 2 * units + units + u);
  });
}
template <class T>
void ResetBackward(const CellBackward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u, gate = row * 3 * units + u;
    const auto r = v.Load(s.gates + gate), z = v.Load(s.gates + gate + units);
    const auto d = v.Load(s.d_reset + at);
    const auto dr = hn::Mul(hn::Mul(d, v.Load(s.h_before + at)), SigmoidSlope(v, r));
    v.Store(dr, s.d_inputs + gate);
    v.Store(dr, s.d_rz + row * 2 * units + u);
    v.Store(hn::MulAdd(d, r, hn::Mul(GradientOfH(v, s, at), z)), s.dh_before + at);
  });
}

template <class T, bool Relu>
void RnnForward(const CellForward<T>& s) {
  const std::int64_t units = s.units;
  ForEachUnit<T>(s.rows, units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * units + u;
    const auto sum =
        hn::Add(hn::Add(v.Load(s.inputs + at), v.Load(s.bias + u)), v.Load(s.product + at));
    if constexpr (Relu)
      v.Store(ReluOf(v.d, sum), s.h + at);
    else
      v.Store(TanhOf(v.d, sum), s.h + at);
  });
}

template <class T, bool Relu>
void RnnBackward(const CellBackward<T>& s) {
  ForEachUnit<T>(s.rows, s.units, [&](auto v, std::int64_t row, std::int64_t u) HWY_ATTR {
    const std::int64_t at = row * s.units + u;
    const auto h = v.Load(s.h + at), dh = GradientOfH(v, s, at);
    if constexpr (Relu)
      v.Store(hn::IfThenElseZero(hn::Gt(h, hn::Zero(v.d)), dh), s.d_inputs + at);
    else
      v.Store(hn::Mul(dh, TanhSlope(v, h)), s.d_inputs + at);
    v.Store(hn::Zero(v.d), s.dh_before + at);
  });
}

template <class T>
CellFunctions<T> Find(Cell cell) {
  switch (cell) {
    case Cell::lstm:
      return {&LstmForward<T>, &LstmBackward<T>};
    case Cell::gru:
      return {&GruForward<T>, &GruBackward<T>};
    case Cell::gru_reset_before:
      return {&CandidateForward<T>, &ResetBackward<T>, &ResetForward<T>, &CandidateBackward<T>};
    case Cell::rnn_relu:
      return {&RnnForward<T, true>, &RnnBackward<T, true>};
    default:
      return {&RnnForward<T, false>, &RnnBackward<T, false>};
  }
}

}  // namespace

CellFunctions<float> Find32(Cell cell) { return Find<float>(cell); }
CellFunctions<double> Find64(Cell cell) { return Find<double>(cell); }

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Find32);
HWY_EXPORT(Find64);
}  // namespace

template <>
CellFunctions<float> cell_functions(Cell cell) {
  return HWY_DYNAMIC_DISPATCH(Find32)(cell);
}
template <>
CellFunctions<double> cell_functions(Cell cell) {
  return HWY_DYNAMIC_DISPATCH(Find64)(cell);
}

}  // namespace descent::kernels
#endif
