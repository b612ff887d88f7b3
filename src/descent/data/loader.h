// Loader: batches in an order that is computed, never stored. Batch k of epoch e holds rows
// P_e(k * batch + i), P_e a permutation keyed by (seed, "shuffle", e), so a run can go on at any
// cursor and nothing but the cursor is state. Of a text P_e permutes all places where a window may
// begin, and an epoch takes the first rows() of them: as many tokens as the text has, at other
// offsets each time. A thread may gather batches ahead; what they hold
// does not depend on it.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "descent/base/array.h"
#include "descent/data/dataset.h"

namespace descent::data {

// The place of a batch: the one state of a loader.
struct Cursor {
  std::int64_t epoch = 0, batch = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

struct Batch {
  Array features;  // float32 or float64 [rows, ...]; tokens: int64 [rows, context]
  Array targets;   // int64 [rows] (classes), [rows, context] (the next tokens) or float
                   // [rows, outputs or classes]; empty: none
  Array weights;   // float [rows]; empty: none
  std::int64_t rows = 0;
  Cursor cursor;  // where this batch stands
};

struct LoaderOptions {
  std::int64_t batch_size = 32;  // 0: all rows in one batch, in file order
  bool shuffle = true;
  bool drop_last = false;        // leave out a last batch that is not full
  int prefetch = 2;              // batches gathered ahead by a thread; 0: none
  DType dtype = DType::float32;  // of features, weights and regression targets; or float64
  // Number of classes: class labels come as probabilities [rows, classes], 1 at the label (for
  // augmentation that mixes rows); 0: as labels.
  std::int64_t one_hot = 0;
  // Called on every gathered batch, perhaps on the prefetch thread: augmentation (data/augment.h).
  // Must depend on the batch (with its cursor) alone. What it throws comes out of next().
  std::function<void(Batch&)> augment;
};

class Loader {
 public:
  // Shares the dataset's arrays. Throws a usage error for an empty dataset or a batch size < 0.
  Loader(const Dataset& dataset, LoaderOptions options, std::uint64_t seed);
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  // The batch at cursor(), which moves on by one (over the end of an epoch to the next one's
  // begin). The batch and its arrays stay as they are until the next call of next() or seek();
  // the call allocates nothing. Endless: the caller counts epochs by batch.cursor.
  const Batch& next();
  // Where next() will read.
  Cursor cursor() const;
  // Goes on at a cursor; {e, batches_per_epoch()} means {e + 1, 0}.
  void seek(Cursor cursor);

  std::int64_t rows() const;
  std::int64_t batch_size() const;  // rows of a full batch
  std::int64_t batches_per_epoch() const;
  // Row of the dataset that stands at `position` (0 <= position < rows()) of an epoch; of a text,
  // the token it begins with.
  std::int64_t row_at(std::int64_t epoch, std::int64_t position) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace descent::data
