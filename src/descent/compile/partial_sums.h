// Long sums that threads share. A sum runs pairwise over blocks (kernels/reduce.h): a piece of a
// power of two blocks is a branch of that tree. Such pieces are summed by themselves, by whichever
// thread, and a second operation adds them up as the top of the tree does: the same bits.
#pragma once
#include "descent/compile/fused.h"

namespace descent {

// Elements of a piece of the program's sums; 0 where they are not worth sharing out, or its
// operands cannot be cut: every one must have the program's shape or a single element.
std::int64_t piece_for_sums(const FusedOp& op);

// Type of the sums of all pieces, for a sum of this type.
Type partial_type(const FusedOp& op, const Type& sum);
// From the sums of all pieces the sum.
Value combine_partial(const Value& partial, const Type& sum);

// The program with op.piece, bound.
Kernel bind_pieces(const FusedOp& op, const Binding& b);
// Of the program over one piece.
std::size_t piece_scratch_bytes(const FusedOp& op);

}  // namespace descent
