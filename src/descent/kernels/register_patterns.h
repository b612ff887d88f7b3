// The patterns of register_programs.h: the updates of the common optimizers with the guard of the
// training step: the last selects keep the old values where the step was not finite. Without it
// they are derived from these. Operands are numbered as in a TileProgram: inputs, then results.
// `descent train --dump-plan` says "in registers" behind a program that equals one of these.
#pragma once
#include <array>

#include "descent/kernels/register_programs.h"

namespace descent::kernels {

using enum Eltwise;

inline constexpr std::array kGuarded{
    RegisterPattern{"adam",
                    "sdsdssdssssds",
                    17,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {add, 14, 13},
                      {square, 1},
                      {mul, 4, 16},
                      {mul, 5, 6},
                      {add, 18, 17},
                      {sqrt, 19},
                      {mul, 20, 7},
                      {add, 21, 8},
                      {mul, 15, 9},
                      {div, 23, 22},
                      {mul, 24, 10},
                      {add, 11, 25},
                      {select, 12, 26, 11},
                      {select, 12, 15, 3},
                      {select, 12, 19, 6}}},
                    3,
                    {27, 28, 29}},
    RegisterPattern{"adamw",
                    "sdsdssdssssdss",
                    19,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {add, 15, 14},
                      {square, 1},
                      {mul, 4, 17},
                      {mul, 5, 6},
                      {add, 19, 18},
                      {sqrt, 20},
                      {mul, 21, 7},
                      {add, 22, 8},
                      {mul, 16, 9},
                      {div, 24, 23},
                      {mul, 13, 11},
                      {add, 25, 26},
                      {mul, 27, 10},
                      {add, 11, 28},
                      {select, 12, 29, 11},
                      {select, 12, 16, 3},
                      {select, 12, 20, 6}}},
                    3,
                    {30, 31, 32}},
    RegisterPattern{"adam, clipped",
                    "sdsddsssssssds",
                    18,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {mul, 4, 5},
                      {mul, 6, 16},
                      {add, 14, 17},
                      {square, 16},
                      {mul, 7, 19},
                      {add, 15, 20},
                      {sqrt, 21},
                      {mul, 22, 8},
                      {add, 23, 9},
                      {mul, 18, 10},
                      {div, 25, 24},
                      {mul, 26, 11},
                      {add, 12, 27},
                      {select, 13, 28, 12},
                      {select, 13, 18, 1},
                      {select, 13, 21, 3}}},
                    3,
                    {29, 30, 31}},
    RegisterPattern{"adam, L2",
                    "sdsdsddssssss",
                    19,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {mul, 4, 5},
                      {add, 6, 13},
                      {mul, 0, 16},
                      {add, 14, 17},
                      {square, 16},
                      {mul, 7, 19},
                      {add, 15, 20},
                      {sqrt, 21},
                      {mul, 22, 8},
                      {add, 23, 9},
                      {mul, 18, 10},
                      {div, 25, 24},
                      {mul, 26, 11},
                      {add, 1, 27},
                      {select, 12, 28, 1},
                      {select, 12, 18, 3},
                      {select, 12, 21, 5}}},
                    3,
                    {29, 30, 31}},
    RegisterPattern{
        "adamw, clipped",
        "sdsdsddssssssss",
        20,
        {{{mul, 0, 1},   {mul, 2, 3},         {mul, 4, 5},         {mul, 6, 7},
          {mul, 8, 18},  {add, 15, 19},       {square, 18},        {mul, 9, 21},
          {add, 16, 22}, {sqrt, 23},          {mul, 24, 10},       {add, 25, 11},
          {mul, 20, 12}, {div, 27, 26},       {add, 28, 17},       {mul, 29, 13},
          {add, 5, 30},  {select, 14, 31, 5}, {select, 14, 20, 1}, {select, 14, 23, 3}}},
        3,
        {32, 33, 34}},
    RegisterPattern{"sgd", "dsds", 3, {{{mul, 0, 1}, {add, 2, 4}, {select, 3, 5, 2}}}, 1, {6}},
    RegisterPattern{"sgd, clipped",
                    "dssds",
                    4,
                    {{{mul, 0, 1}, {mul, 5, 2}, {add, 3, 6}, {select, 4, 7, 3}}},
                    1,
                    {8}},
    RegisterPattern{"momentum",
                    "sddsds",
                    6,
                    {{{mul, 0, 1},
                      {add, 6, 2},
                      {mul, 7, 3},
                      {add, 4, 8},
                      {select, 5, 9, 4},
                      {select, 5, 7, 1}}},
                    2,
                    {10, 11}},
    RegisterPattern{"momentum, clipped",
                    "sddssds",
                    7,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {add, 7, 8},
                      {mul, 9, 4},
                      {add, 5, 10},
                      {select, 6, 11, 5},
                      {select, 6, 9, 1}}},
                    2,
                    {12, 13}},
    RegisterPattern{"momentum, L2",
                    "sdsddss",
                    8,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {add, 4, 7},
                      {add, 8, 9},
                      {mul, 10, 5},
                      {add, 1, 11},
                      {select, 6, 12, 1},
                      {select, 6, 10, 3}}},
                    2,
                    {13, 14}},
    RegisterPattern{"nesterov",
                    "sddsds",
                    8,
                    {{{mul, 0, 1},
                      {add, 6, 2},
                      {mul, 0, 7},
                      {add, 2, 8},
                      {mul, 9, 3},
                      {add, 4, 10},
                      {select, 5, 11, 4},
                      {select, 5, 7, 1}}},
                    2,
                    {12, 13}},
    RegisterPattern{"nesterov, L2",
                    "sdsddss",
                    10,
                    {{{mul, 0, 1},
                      {mul, 2, 3},
                      {add, 4, 7},
                      {add, 8, 9},
                      {mul, 2, 10},
                      {add, 9, 11},
                      {mul, 12, 5},
                      {add, 1, 13},
                      {select, 6, 14, 1},
                      {select, 6, 10, 3}}},
                    2,
                    {15, 16}},
    RegisterPattern{"rmsprop",
                    "sdsdssds",
                    11,
                    {{{mul, 0, 1},
                      {square, 3},
                      {mul, 2, 9},
                      {add, 8, 10},
                      {sqrt, 11},
                      {add, 12, 4},
                      {div, 3, 13},
                      {mul, 14, 5},
                      {add, 6, 15},
                      {select, 7, 16, 6},
                      {select, 7, 11, 1}}},
                    2,
                    {17, 18}},
    RegisterPattern{"adagrad",
                    "ddssds",
                    9,
                    {{{square, 1},
                      {add, 0, 6},
                      {sqrt, 7},
                      {add, 8, 2},
                      {div, 1, 9},
                      {mul, 10, 3},
                      {add, 4, 11},
                      {select, 5, 12, 4},
                      {select, 5, 7, 0}}},
                    2,
                    {13, 14}}};

// The same update without the guard: its selects, the last steps, give their new values, and the
// single element that they look at is no input.
constexpr RegisterPattern unguarded(const RegisterPattern& guarded) {
  RegisterPattern p = guarded;
  p.guarded = false;
  p.length = guarded.length - guarded.results;
  const auto own = static_cast<int>(guarded.inputs.size());
  const auto step = [&](int operand) -> const RegisterStep& {
    return guarded.steps[static_cast<std::size_t>(operand - own)];
  };
  const int good = step(guarded.outputs[0]).a;
  p.inputs.erase(good);
  const auto moved = [good](int operand) { return operand > good ? operand - 1 : operand; };
  for (int k = 0; k < p.length; ++k) {
    auto& s = p.steps[static_cast<std::size_t>(k)];
    s = {s.code, moved(s.a), moved(s.b), moved(s.c)};
  }
  for (int q = 0; q < p.results; ++q) {
    auto& output = p.outputs[static_cast<std::size_t>(q)];
    output = moved(step(output).b);
  }
  return p;
}

inline constexpr auto kPatterns = [] {
  std::array<RegisterPattern, 2 * kGuarded.size()> all{};
  for (std::size_t k = 0; k < kGuarded.size(); ++k) {
    all[2 * k] = kGuarded[k];
    all[2 * k + 1] = unguarded(kGuarded[k]);
  }
  return all;
}();

}  // namespace descent::kernels
