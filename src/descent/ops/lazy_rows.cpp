#include "descent/ops/lazy_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "descent/ir/op.h"
#include "descent/ops/check_range.h"

namespace descent {
namespace {

using kernels::IdleRows;
using kernels::kNoRow;

constexpr std::int64_t kBlock = 16;  // rows that a thread takes at once
std::int64_t blocks_of(std::int64_t rows) {
  return std::max<std::int64_t>(1, (rows + kBlock - 1) / kBlock);
}

std::int64_t* integers(const std::byte* p) {
  return reinterpret_cast<std::int64_t*>(const_cast<std::byte*>(p));
}

bool is_set(const std::byte* flag, std::size_t bytes) {
  return std::any_of(flag, flag + bytes, [](std::byte b) { return b != std::byte{0}; });
}

struct DistinctRowsOp final : OpBase<DistinctRowsOp> {
  DistinctRowsOp(std::int64_t s, std::int64_t l) : shards(s), limit(l) {}
  std::int64_t shards, limit;
  bool operator==(const DistinctRowsOp&) const = default;
  std::string_view name() const override { return "distinct_rows"; }
  std::string attributes() const override { return fmt::format("of {}", limit); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].dtype != DType::int64) fail("wants int64 indices", in);
    return {{DType::int64, {in[0].shape.size() * shards}, false}};
  }
  bool collective(int) const override { return true; }
  Kernel bind(const Binding& b) const override {
    return whole([parts = b.in, n = b.in_types[0].shape.size(), out = integers(b.out[0]),
                  limit = limit] {
      for (const auto* part : parts) {
        check_range(integers(part), n, limit, "embedding",
                    "indices count from 0, and must be fewer than the rows of the table (tokens: "
                    "than the vocabulary)");
      }
      kernels::distinct_rows(parts, n, out);
    });
  }
};

struct PlacesOp final : OpBase<PlacesOp> {
  bool operator==(const PlacesOp&) const = default;
  std::string_view name() const override { return "places_of"; }
  std::vector<Type> infer(std::span<const Type> in) const override { return {in[1]}; }
  Kernel bind(const Binding& b) const override {
    return whole(
        [rows = integers(b.in[0]), count = b.in_types[0].shape.size(), index = integers(b.in[1]),
         out = integers(b.out[0]),
         n = b.out_types[0].shape.size()] { kernels::find_rows(rows, count, index, out, n); });
  }
};

// Inputs: [rows,] slots, done, scalars, step.
struct CaughtUpOp final : OpBase<CaughtUpOp> {
  CaughtUpOp(IdleUpdate u, bool a) : idle(std::move(u)), all(a) {}
  IdleUpdate idle;
  bool all;  // all rows, of slot 0 alone
  bool operator==(const CaughtUpOp&) const = default;
  std::string_view name() const override { return "caught_up"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    std::vector<Type> out;
    for (int s = 0; s < (all ? 1 : idle->slots); ++s) {
      Type type = in[static_cast<std::size_t>(first_slot() + s)];
      if (!all) type.shape[0] = in[0].shape[0];
      out.push_back(type);
    }
    return out;
  }
  std::size_t scratch_bytes(std::span<const Type>, std::span<const Type>) const override {
    return spare_bytes() + IdleRows::scratch_bytes(*idle);
  }
  double flops(std::span<const Type>, std::span<const Type> out) const override {
    return static_cast<double>(out[0].shape.size()) *
           static_cast<double>(idle->instructions.size());
  }
  Kernel bind(const Binding& b) const override {
    Work work{.idle = IdleRows(*idle, b.scratch + spare_bytes()), .bytes = idle->row_bytes()};
    for (int s = 0; s < idle->slots; ++s) {
      const auto at = static_cast<std::size_t>(s);
      work.table.slots.push_back(
          const_cast<std::byte*>(b.in[static_cast<std::size_t>(first_slot()) + at]));
      work.out.push_back(at < b.out.size() ? b.out[at] : nullptr);
      work.spare.push_back(b.scratch + at * padded_row());
    }
    work.row = work.spare;
    const auto rest = static_cast<std::size_t>(first_slot() + idle->slots);
    work.table.done = integers(b.in[rest]);
    work.table.scalars = b.in[rest + 1];
    work.table.period = b.in_types[rest + 1].shape[0];
    work.table.width = b.in_types[rest + 1].shape[1];
    work.step = integers(b.in[rest + 2]);
    work.rows = all ? nullptr : integers(b.in[0]);
    work.count = b.out_types[0].shape[0];
    return {[work = std::move(work)](std::int64_t begin, std::int64_t end) mutable {
              work.run(begin * kBlock, std::min(work.count, end * kBlock));
            },
            blocks_of(b.out_types[0].shape[0])};
  }

 private:
  struct Work {
    IdleRows idle;
    std::size_t bytes;
    kernels::LazyTable table = {};
    std::vector<std::byte*> out = {}, spare = {}, row = {};
    const std::int64_t *rows = nullptr, *step = nullptr;
    std::int64_t count = 0;

    void run(std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t r = rows != nullptr ? rows[i] : i;
        for (std::size_t s = 0; s < out.size(); ++s) {
          row[s] = out[s] == nullptr ? spare[s] : out[s] + static_cast<std::size_t>(i) * bytes;
          if (r == kNoRow) {
            std::memset(row[s], 0, bytes);
          } else {
            std::memcpy(row[s], table.slots[s] + static_cast<std::size_t>(r) * bytes, bytes);
          }
        }
        if (r != kNoRow) idle.run(row.data(), table.done[r], *step, table);
      }
    }
  };
  int first_slot() const { return all ? 0 : 1; }
  std::size_t padded_row() const { return align_up(idle->row_bytes()); }
  // A row of each slot, for those that are not put out.
  std::size_t spare_bytes() const { return padded_row() * static_cast<std::size_t>(idle->slots); }
};

// Inputs: scalars, step, good, the step's scalars. Outputs: scalars, step.
struct AdvanceOp final : OpBase<AdvanceOp> {
  bool operator==(const AdvanceOp&) const = default;
  std::string_view name() const override { return "advance"; }
  std::vector<Type> infer(std::span<const Type> in) const override { return {in[0], in[1]}; }
  bool in_place(int input, int output) const override { return input == output; }
  Kernel bind(const Binding& b) const override {
    return whole([in = b.in, out = b.out, bytes = b.in_types[0].bytes(),
                  element = size_of(b.in_types[0].dtype), flag = size_of(b.in_types[2].dtype),
                  period = b.in_types[0].shape[0], width = b.in_types[0].shape[1]] {
      const std::int64_t step = *integers(in[1]);
      const bool good = is_set(in[2], flag);
      if (out[0] != in[0]) std::memcpy(out[0], in[0], bytes);
      *integers(out[1]) = step + (good ? 1 : 0);
      std::byte* to = out[0] + static_cast<std::size_t>(step % period * width) * element;
      for (std::size_t k = 3; good && k < in.size(); ++k, to += element) {
        std::memcpy(to, in[k], element);
      }
    });
  }
};

// Inputs: slots, done, scalars, step, rows, good, new rows. Outputs: slots, done.
struct PutRowsOp final : OpBase<PutRowsOp> {
  explicit PutRowsOp(IdleUpdate u) : idle(std::move(u)) {}
  IdleUpdate idle;
  bool operator==(const PutRowsOp&) const = default;
  std::string_view name() const override { return "put_rows"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {in.begin(), in.begin() + idle->slots + 1};
  }
  bool in_place(int input, int output) const override { return input == output; }
  std::size_t scratch_bytes(std::span<const Type>, std::span<const Type>) const override {
    return IdleRows::scratch_bytes(*idle);
  }
  double flops(std::span<const Type>, std::span<const Type>) const override { return 0; }
  Kernel bind(const Binding& b) const override {
    Work work{.idle = IdleRows(*idle, b.scratch), .bytes = idle->row_bytes()};
    const auto slots = static_cast<std::size_t>(idle->slots);
    for (std::size_t k = 0; k <= slots; ++k) {
      if (b.in[k] != b.out[k]) work.copies.push_back({b.in[k], b.out[k], b.out_types[k].bytes()});
      if (k < slots) work.table.slots.push_back(b.out[k]);
      if (k < slots) work.fresh.push_back(b.in[slots + 5 + k]);
    }
    work.row = work.table.slots;
    work.table.done = integers(b.out[slots]);
    work.table.scalars = b.in[slots + 1];
    work.table.period = b.in_types[slots + 1].shape[0];
    work.table.width = b.in_types[slots + 1].shape[1];
    work.table_rows = b.in_types[0].shape[0];
    work.part = (work.table_rows + work.table.period - 1) / work.table.period;
    work.step = integers(b.in[slots + 2]);
    work.rows = integers(b.in[slots + 3]);
    work.count = b.in_types[slots + 3].shape[0];
    work.good = b.in[slots + 4];
    work.flag = size_of(b.in_types[slots + 4].dtype);
    const std::int64_t items = work.count + work.part;
    // What is copied first is copied by one thread.
    const std::int64_t extent = work.copies.empty() ? blocks_of(items) : 1;
    return {[work = std::move(work), items, extent](std::int64_t begin, std::int64_t end) mutable {
              work.run(begin * kBlock, extent == 1 ? items : std::min(items, end * kBlock));
            },
            extent};
  }

 private:
  struct Copy {
    const std::byte* from;
    std::byte* to;
    std::size_t bytes;
  };
  struct Work {
    IdleRows idle;
    std::size_t bytes;
    kernels::LazyTable table = {};
    std::vector<Copy> copies = {};
    std::vector<const std::byte*> fresh = {};
    std::vector<std::byte*> row = {};
    const std::int64_t *step = nullptr, *rows = nullptr;
    std::int64_t count = 0, table_rows = 0, part = 0;
    const std::byte* good = nullptr;
    std::size_t flag = 4;

    // Items: the rows that were looked up, then the part of the others whose turn it is. No row is
    // in both, so that it does not matter who takes which.
    void run(std::int64_t begin, std::int64_t end) {
      for (const auto& c : copies) std::memcpy(c.to, c.from, c.bytes);
      if (!is_set(good, flag)) return;
      const std::int64_t done = *step;
      const std::int64_t first = (done - 1) % table.period * part - count;
      for (std::int64_t i = begin; i < end; ++i) {
        if (i < count) {
          if (rows[i] != kNoRow) put(rows[i], i, done);
        } else if (first + i < table_rows) {
          catch_up(first + i, done);
        }
      }
    }
    void put(std::int64_t r, std::int64_t from, std::int64_t done) {
      for (std::size_t s = 0; s < fresh.size(); ++s) {
        std::memcpy(table.slots[s] + static_cast<std::size_t>(r) * bytes,
                    fresh[s] + static_cast<std::size_t>(from) * bytes, bytes);
      }
      table.done[r] = done;
    }
    void catch_up(std::int64_t r, std::int64_t done) {
      if (std::binary_search(rows, rows + count, r)) return;
      for (std::size_t s = 0; s < row.size(); ++s)
        row[s] = table.slots[s] + static_cast<std::size_t>(r) * bytes;
      idle.run(row.data(), table.done[r], done, table);
      table.done[r] = done;
    }
  };
};

Values table_inputs(const LazyTable& table) {
  Values in = table.slots;
  in.insert(in.end(), {table.done, table.scalars, table.step});
  return in;
}

template <class O>
Values apply_op(O op, Values in) {
  return apply_all(std::make_shared<const O>(std::move(op)), std::move(in));
}

}  // namespace

Value distinct_rows(const Value& index, std::int64_t shards, std::int64_t limit) {
  return apply(DistinctRowsOp(shards, limit), {index});
}

Value places_of(const Value& rows, const Value& index) { return apply(PlacesOp(), {rows, index}); }

Values caught_up(const LazyTable& table, const Value& rows) {
  Values in = table_inputs(table);
  in.insert(in.begin(), rows);
  return apply_op(CaughtUpOp(table.idle, false), std::move(in));
}

Value caught_up(const LazyTable& table) {
  return apply_op(CaughtUpOp(table.idle, true), table_inputs(table))[0];
}

Advanced advance(const Value& scalars, const Value& step, ValueSpan now, const Value& good) {
  Values in{scalars, step, good};
  in.insert(in.end(), now.begin(), now.end());
  const Values out = apply_op(AdvanceOp(), std::move(in));
  return {out[0], out[1]};
}

Values put_rows(const LazyTable& table, const Value& rows, ValueSpan fresh, const Value& good) {
  Values in = table_inputs(table);
  in.insert(in.end(), {rows, good});
  in.insert(in.end(), fresh.begin(), fresh.end());
  return apply_op(PutRowsOp(table.idle), std::move(in));
}

}  // namespace descent
