// Decoding: a model that reads tokens from left to right computes one token at a time. What its
// modules keep of the tokens before (keys and values of attention, hidden states) are caches, which
// go in and come out, so that the step is a pure function and a plan updates them in place.
//
//   const auto decoder = nn::decoder(model, {.context = 256});
//   std::vector<PlanInput> inputs;
//   for (const auto& v : decoder.variables) inputs.push_back({v.type, v.name, its array});
//   for (const auto& v : decoder.caches) inputs.push_back({v.type, v.name, zeros of v.type});
//   inputs.push_back({{DType::int64, {}}, "position"});   // 0, 1, ... below the context
//   inputs.push_back({{DType::int64, {1}}, "tokens"});
//   Plan step = compile(decoder.step, inputs, {.donate = decoder.donate()});
//   // each token: write position and token, step.run(), logits = step.output(0)
//
// The first T tokens may come at once: another plan of the same step, whose tokens are [1, T], at
// position 0.
//
// A sequence begins with position 0: what caches hold beyond the position is not read, but modules
// with a state of another kind (recurrent ones) want zeros again.
#pragma once
#include <map>
#include <vector>

#include "descent/ir/fn.h"
#include "descent/nn/module.h"

namespace descent::nn {

struct DecoderOptions {
  std::int64_t rows = 1;     // sequences side by side
  std::int64_t context = 0;  // tokens that caches have room for
  DType dtype = DType::float32;
};

struct Decoder {
  std::vector<Variable> variables;  // parameters and buffers of the model
  std::vector<Variable> caches;
  // Variables, caches, position int64 [], tokens int64 [rows]
  //   -> logits [rows, vocabulary], caches with the token.
  // Tokens int64 [rows, T]: all of them, and the logits after the last; position must be 0.
  Fn step;
  // Of the step's outputs to its inputs: each cache in its own memory.
  std::map<int, int> donate() const;
};

// An error where the model does not map tokens [N, T] to [N, T, vocabulary].
Decoder decoder(const Layer& model, const DecoderOptions& options);

}  // namespace descent::nn
