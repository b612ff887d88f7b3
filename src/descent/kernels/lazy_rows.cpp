#include "descent/kernels/lazy_rows.h"

#include <algorithm>
#include <cstring>

namespace descent::kernels {
namespace {

// What is known of an operand whatever the step, its scalars being finite: signs, and the input
// that it equals.
struct Known {
  bool zero = false, positive = false, not_negative = false;
  int same_as = -1;
};

Known known_constant(const Array& constant) {
  if (constant.size() != 1) return {};
  const double c = constant.item();
  return {.zero = c == 0, .positive = c > 0, .not_negative = c >= 0};
}

Known result_of(const TileProgram::Instruction& i, const std::vector<Known>& known) {
  if (i.is_cast) return {};
  const auto operand = [&](int k) {
    const int at = i.in[static_cast<std::size_t>(k)];
    return at < 0 ? Known() : known[static_cast<std::size_t>(at)];
  };
  const Known a = operand(0), b = operand(1);
  const bool both = a.not_negative && b.not_negative;
  Known r;
  switch (i.code) {
    case Eltwise::mul:
      r.zero = a.zero || b.zero;
      r.positive = a.positive && b.positive;
      r.not_negative = r.zero || both;
      return r;
    case Eltwise::add:
      if (a.zero) return b;
      if (b.zero) return a;
      r.positive = both && (a.positive || b.positive);
      r.not_negative = both;
      return r;
    case Eltwise::square:
      return {.zero = a.zero, .not_negative = true};
    case Eltwise::sqrt:
      return {.zero = a.zero, .positive = a.positive, .not_negative = true};
    case Eltwise::neg:
      return {.zero = a.zero, .not_negative = a.zero};
    case Eltwise::div:
      r.zero = a.zero && b.positive;
      r.not_negative = r.zero;
      return r;
    case Eltwise::maximum:
      r.zero = a.zero && b.zero;
      r.positive = a.positive || b.positive;
      r.not_negative = a.not_negative || b.not_negative;
      return r;
    default:
      return {};
  }
}

// True where a row with these slots at zero is left as it is.
bool rests_with(const IdleUpdate& update, unsigned zero_slots) {
  std::vector<Known> known;
  for (std::size_t k = 0; k < update.operands.size(); ++k) {
    const auto& operand = update.operands[k];
    const bool slot = operand.source == IdleUpdate::Source::slot;
    const bool zero = operand.source == IdleUpdate::Source::gradient ||
                      (slot && ((zero_slots >> operand.index) & 1U) != 0);
    Known input{.zero = zero, .not_negative = zero};
    if (operand.source == IdleUpdate::Source::constant) {
      input = known_constant(update.constants[static_cast<std::size_t>(operand.index)]);
    }
    input.same_as = static_cast<int>(k);
    known.push_back(input);
  }
  for (const auto& i : update.instructions) known.push_back(result_of(i, known));
  for (std::size_t q = 0; q < update.outputs.size(); ++q) {
    const Known& out = known[static_cast<std::size_t>(update.outputs[q])];
    const int slot = update.written[q];
    if (out.zero && ((zero_slots >> slot) & 1U) != 0) continue;
    if (out.same_as < 0) return false;
    const auto& source = update.operands[static_cast<std::size_t>(out.same_as)];
    if (source.source != IdleUpdate::Source::slot || source.index != slot) return false;
  }
  return true;
}

}  // namespace

Rest rest_of(const IdleUpdate& update) {
  // Fewest zeros first; never the weights.
  Rest best;
  if (update.slots > 8) return best;
  for (unsigned zero_slots = 0; zero_slots < (1U << update.slots); zero_slots += 2) {
    if (!rests_with(update, zero_slots)) continue;
    std::vector<int> slots;
    for (int s = 0; s < update.slots; ++s) {
      if (((zero_slots >> s) & 1U) != 0) slots.push_back(s);
    }
    if (!best.possible || slots.size() < best.zero.size()) best = {true, slots};
  }
  return best;
}

IdleRows::IdleRows(const IdleUpdate& update, std::byte* scratch)
    : program_(update.program()),
      operands_(update.operands),
      written_(update.written),
      constants_(update.constants),
      zeros_(update.dtype, update.row),
      rest_(rest_of(update)),
      row_bytes_(update.row_bytes()),
      element_bytes_(size_of(update.dtype)),
      scratch_(scratch),
      in_(update.operands.size()),
      out_(update.outputs.size()) {}

// Bits, not numbers: -0 becomes 0 in an update.
bool IdleRows::rests(std::byte* const* row) const {
  if (!rest_.possible) return false;
  return std::all_of(rest_.zero.begin(), rest_.zero.end(), [&](int slot) {
    return std::memcmp(row[slot], zeros_.raw(), row_bytes_) == 0;
  });
}

void IdleRows::run(std::byte* const* row, std::int64_t from, std::int64_t to,
                   const LazyTable& table) {
  if (from >= to || rests(row)) return;
  for (std::size_t k = 0; k < operands_.size(); ++k) {
    const auto& operand = operands_[k];
    if (operand.source == IdleUpdate::Source::gradient) in_[k] = zeros_.raw();
    if (operand.source == IdleUpdate::Source::slot) in_[k] = row[operand.index];
    if (operand.source == IdleUpdate::Source::constant) {
      in_[k] = constants_[static_cast<std::size_t>(operand.index)].raw();
    }
  }
  for (std::size_t q = 0; q < written_.size(); ++q) out_[q] = row[written_[q]];
  for (std::int64_t s = from; s < to; ++s) {
    const auto* scalars =
        table.scalars + static_cast<std::size_t>(s % table.period * table.width) * element_bytes_;
    for (std::size_t k = 0; k < operands_.size(); ++k) {
      if (operands_[k].source != IdleUpdate::Source::scalar) continue;
      in_[k] = scalars + static_cast<std::size_t>(operands_[k].index) * element_bytes_;
    }
    program_.run(in_.data(), out_.data(), scratch_, 0, program_.size());
  }
}

void distinct_rows(std::span<const std::byte* const> parts, std::int64_t n, std::int64_t* rows) {
  std::int64_t* end = rows;
  for (const auto* part : parts) {
    std::memcpy(end, part, static_cast<std::size_t>(n) * sizeof(std::int64_t));
    end += n;
  }
  std::sort(rows, end);
  std::fill(std::unique(rows, end), end, kNoRow);
}

void find_rows(const std::int64_t* rows, std::int64_t count, const std::int64_t* index,
               std::int64_t* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = std::lower_bound(rows, rows + count, index[i]) - rows;
}

}  // namespace descent::kernels
