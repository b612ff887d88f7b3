// Differentiation as transformations: a function of values becomes another function of values, so
// they compose to any order: grad(grad(f)), jvp(grad(f)) ...
// Reverse mode: Griewank & Walther, "Evaluating derivatives", chapter 3. The conventions (argument
// numbers, names) are JAX's.
#pragma once
#include <functional>
#include <utility>

#include "descent/ir/fn.h"

namespace descent {

// On the graph: cotangents of `inputs` given those of `outputs` (null or absent: zero). Gradients
// of inputs that outputs do not depend on are zeros. A replicated input's gradient is summed over
// shards.
Values gradients(ValueSpan outputs, ValueSpan inputs, ValueSpan cotangents);
// On the graph: tangents of `outputs` given those of `inputs`.
Values tangents(ValueSpan outputs, ValueSpan inputs, ValueSpan input_tangents);

// Gradient of a scalar function with respect to the arguments `argnums` (empty: all).
Fn grad(ScalarFn f, std::vector<int> argnums = {});
// {value, gradients...}
Fn value_and_grad(ScalarFn f, std::vector<int> argnums = {});
// f(x), and the function that maps cotangents of the results to cotangents of x.
std::pair<Values, Fn> vjp(const Fn& f, ValueSpan x);
// f(x), and its derivative along `tangent`.
std::pair<Values, Values> jvp(const Fn& f, ValueSpan x, ValueSpan tangent);
// Hessian-vector product, forward over reverse: jvp of the gradient (Pearlmutter 1994).
Values hvp(const ScalarFn& f, ValueSpan x, ValueSpan v);
// f whose intermediate results are computed again in the backward pass instead of kept
// (Chen et al. 2016, "Training deep nets with sublinear memory cost").
Fn checkpoint(Fn f);
// f(x) with a derivative of its own, for functions whose composed one is right but wasteful: maps
// inputs, outputs and the outputs' cotangents (null: zero) to the inputs' (null: zero; the
// cotangent of a replicated input may be per shard). f must not use values from outside. Forward
// mode goes through f.
using Pullback = std::function<Values(ValueSpan in, ValueSpan out, ValueSpan cotangent)>;
Values with_derivative(const Fn& f, Pullback pullback, ValueSpan x);

}  // namespace descent
