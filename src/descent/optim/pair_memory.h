// The pairs of L-BFGS as values in a compiled step; lbfgs_memory.h has them for minimisers.
//
// s = change of the parameters, y = change of the gradient, both as one vector of all N parameters.
// Kept are the last m pairs and, with Byrd, Nocedal & Schnabel 1994, "Representations of
// quasi-Newton matrices and their use in limited memory methods", the products s_k'y_i and y_k'y_i.
// With these the two loops of H g (Nocedal & Wright 2006, algorithm 7.4) are two triangular systems
// of m unknowns. Ages count from the newest pair, 0; L_ki = s_k'y_i for i <= k, D its diagonal:
//
//   L a = S g,   L'b = D a - gamma (Y g - Y Y'a),   H g = gamma (g - Y'a) + S'b
//
// So S and Y are read twice each, and the step has the same number of operations however many
// parameters a model has.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "descent/optim/transform.h"

namespace descent::optim {

// H before the pairs: gamma = s'y / y'y of the newest, or the mean of these (Schraudolph et al.
// 2007). Without pairs 1.
enum class FirstScale { newest, mean };

class PairMemory {
 public:
  // m pairs of N parameters take 2 m N numbers.
  static std::vector<StateTensor> state(const std::string& name, std::int64_t history,
                                        std::int64_t size, DType dtype);
  static constexpr std::size_t kTensors = 6;

  // `state`: the tensors above. store() puts the new ones there.
  explicit PairMemory(std::span<Value> state, FirstScale scale = FirstScale::newest);

  // Takes a pair where `add` is 1, at most one pair a step. s and y that are not taken may hold
  // anything.
  void push(const Value& s, const Value& y, const Value& add);
  // -H g
  Value direction(const Value& g) const;
  // Forgets all pairs where the mask is 1.
  void clear(const Value& mask);
  const Value& count() const { return count_; }
  void store();

 private:
  std::int64_t history() const { return state_[0].shape()[0]; }
  DType dtype() const { return state_[0].dtype(); }
  Value ages() const;
  Value by_age(const Value& rows, const Value& vector) const;
  Value with_newest(const Value& newest, const Value& others) const;
  Value gram_with_newest(const Value& gram, const Value& corner, const Value& row,
                         const Value& column) const;
  Value first_scale(const Value& diagonal, const Value& valid) const;

  std::span<Value> state_;
  FirstScale scale_;
  Value sy_, yy_, count_;
  Value order_;          // age to row of the stored pairs, and row to age: it is its own inverse
  Value s_, y_, added_;  // the pair of this step; null: none
};

// One vector of all parameters, and back.
Value joined(ValueSpan parts);
Values parted(const Value& vector, const std::vector<Parameter>& info);
std::int64_t joined_size(const std::vector<Parameter>& info);

}  // namespace descent::optim
