// Images that lie channels last. Operations are written for [n, c, h, w]; the kernels of images are
// fastest on [n, h, w, c]. So a plan rewrites every operation on images as one on images channels
// last between two transposes (Op::channels_last), and transposes that meet cancel: what is left of
// them stands where images come in and go out.
#pragma once
#include "descent/ir/value.h"

namespace descent {

// [n, c, h, w] to [n, h, w, c]: the operand of to_first, where x is its result.
Value to_last(const Value& x);
// [n, h, w, c] to [n, c, h, w].
Value to_first(const Value& x);
// True for a result of to_first: it costs nothing to have it channels last.
bool is_last(const Value& x);
// An operand that broadcasts to [n, c, h, w], as one that broadcasts to [n, h, w, c].
Value stretched_last(const Value& x);
// The axis of [n, h, w, c] that is `axis` of [n, c, h, w].
int axis_last(int axis);

}  // namespace descent
