// One step of a recurrent cell after (before) its product: gates and state of N rows of H units.
#pragma once
#include <cstdint>

#include "descent/kernels/recurrent.h"

namespace descent::kernels {

template <class T>
struct CellForward {
  std::int64_t rows, units;
  const T *inputs, *product;  // [N, G H]
  const T* bias;              // [G H], gru: [4 H] with b_ih and b_hh of n apart
  const T *h_before, *c_before;
  T *gates, *h, *extra;
  const T* candidate;  // gru_reset_before: p of n, [N, H]; `product` is that of r and z, [N, 2 H]
};
template <class T>
struct CellBackward {
  std::int64_t rows, units;
  const T *dh_out, *dc_out;         // of this step's results; dc_out may be null
  const T *dh_product, *dh_direct;  // from the step after, by its product and beside it
  T* dc;                            // lstm: in: from the step after; out: for the step before
  const T *h, *gates, *extra, *h_before, *c_before;
  T *d_inputs, *d_products;  // d_products: gru only
  T* dh_before;              // what reaches h_before beside the product
  // gru_reset_before: of n [N, H], what its product makes of it, the gradient of r h', and of r and
  // z [N, 2 H].
  T* d_candidate;
  const T* d_reset;
  T* d_rz;
};
template <class T>
struct CellFunctions {
  void (*forward)(const CellForward<T>&);
  void (*backward)(const CellBackward<T>&);
  // gru_reset_before, which has a second product inside its step: what comes before that.
  void (*forward_first)(const CellForward<T>&) = nullptr;
  void (*backward_first)(const CellBackward<T>&) = nullptr;
};

template <class T>
CellFunctions<T> cell_functions(Cell cell);

}  // namespace descent::kernels
