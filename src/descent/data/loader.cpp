#include "descent/data/loader.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/base/threads.h"
#include "descent/data/block_layout.h"

namespace descent::data {
namespace {

// Handing a batch to another thread costs microseconds: smaller ones are gathered where they are
// used.
constexpr std::size_t kWorthAThread = std::size_t{64} << 10;

// Copies rows of `from` into `to`, converting float32 to float64 where asked.
class Gather {
 public:
  Gather(const Array& from, DType wanted) : from_(from) {
    const auto& shape = from.shape();
    width_ = shape[0] == 0 ? 0 : from.size() / shape[0];
    to_ = from.dtype() == DType::int64 ? DType::int64 : wanted;
    if (from.dtype() != DType::float32 && from.dtype() != DType::int64) {
      throw Error(ErrorKind::internal, fmt::format("a dataset of {}, expected float32, uint8 or "
                                                   "int64",
                                                   name_of(from.dtype())));
    }
  }
  DType dtype() const { return to_; }
  // Row `row` of the source to row i of `out`.
  void operator()(std::int64_t row, std::int64_t i, Array& out) const {
    const auto size = size_of(from_.dtype());
    const auto* source = from_.raw() + static_cast<std::size_t>(row * width_) * size;
    if (to_ != DType::float64) {
      const auto bytes = static_cast<std::size_t>(width_) * size;
      std::memcpy(out.raw() + static_cast<std::size_t>(i) * bytes, source, bytes);
      return;
    }
    const auto* x = reinterpret_cast<const float*>(source);
    auto* y = reinterpret_cast<double*>(out.raw()) + i * width_;
    for (std::int64_t j = 0; j < width_; ++j) y[j] = x[j];
  }

 private:
  Array from_;
  DType to_ = DType::float32;
  std::int64_t width_ = 0;
};

// Copies rows of bytes as (x - shift[c]) * scale[c], through one table of 256 values per channel.
class GatherBytes {
 public:
  GatherBytes(const Dataset& dataset, DType wanted)
      : from_(dataset.features), to_(wanted), layout_(dataset.sample_shape(), true) {
    const auto channels = std::max<std::size_t>(dataset.shift.size(), 1);
    if (channels == 1) layout_.merge();
    if (static_cast<std::int64_t>(channels) != layout_.channels ||
        dataset.shift.size() != dataset.scale.size()) {
      throw Error(ErrorKind::internal,
                  fmt::format("{} shifts for {} channels", channels, layout_.channels));
    }
    for (std::size_t c = 0; c < channels; ++c) {
      const float shift = dataset.shift.empty() ? 0 : dataset.shift[c];
      const float scale = dataset.scale.empty() ? 1 : dataset.scale[c];
      for (int x = 0; x < 256; ++x) table_.push_back((static_cast<float>(x) - shift) * scale);
    }
  }
  DType dtype() const { return to_; }
  void operator()(std::int64_t row, std::int64_t i, Array& out) const {
    if (to_ == DType::float64) {
      copy<double>(row, i, out);
    } else {
      copy<float>(row, i, out);
    }
  }

 private:
  template <class T>
  void copy(std::int64_t row, std::int64_t i, Array& out) const {
    const auto* x = reinterpret_cast<const std::uint8_t*>(from_.raw()) + row * layout_.size();
    T* y = reinterpret_cast<T*>(out.raw()) + i * layout_.size();
    for (std::int64_t c = 0; c < layout_.channels; ++c) {
      const float* values = table_.data() + 256 * c;
      for (std::int64_t k = 0; k < layout_.inner; ++k) *y++ = static_cast<T>(values[*x++]);
    }
  }

  Array from_;
  DType to_;
  BlockLayout layout_;
  std::vector<float> table_;
};

// Class labels as probabilities.
class GatherOneHot {
 public:
  GatherOneHot(const Array& labels, DType wanted, std::int64_t classes)
      : labels_(labels), to_(wanted), classes_(classes) {
    for (const auto label : labels.as<std::int64_t>()) {
      if (label >= 0 && label < classes) continue;
      throw Error(ErrorKind::usage, fmt::format("label {} for {} classes", label, classes),
                  "data loader");
    }
  }
  void operator()(std::int64_t row, std::int64_t i, Array& out) const {
    const auto label = labels_.as<std::int64_t>()[static_cast<std::size_t>(row)];
    const std::size_t bytes = static_cast<std::size_t>(classes_) * size_of(to_);
    std::memset(out.raw() + static_cast<std::size_t>(i) * bytes, 0, bytes);
    out.set_item(i * classes_ + label, 1);
  }

 private:
  Array labels_;
  DType to_;
  std::int64_t classes_;
};

// Windows of a text and the same ones a token later.
class GatherWindows {
 public:
  explicit GatherWindows(const Dataset& dataset)
      : stream_(dataset.stream), context_(dataset.context) {}
  void operator()(std::int64_t begin, std::int64_t i, Batch& out) const {
    const auto* from = reinterpret_cast<const std::int32_t*>(stream_.raw()) + begin;
    std::copy_n(from, context_, reinterpret_cast<std::int64_t*>(out.features.raw()) + i * context_);
    std::copy_n(from + 1, context_,
                reinterpret_cast<std::int64_t*>(out.targets.raw()) + i * context_);
  }

 private:
  Array stream_;
  std::int64_t context_;
};

}  // namespace

struct Loader::State {
  // A place for a batch. `whole` owns the memory, `last` are views of its first rows for the batch
  // that is not full.
  struct Slot {
    Batch whole, last;
    bool is_last = false;
    std::exception_ptr error;
    Batch& batch() { return is_last ? last : whole; }
  };

  State(const Dataset& given, LoaderOptions chosen, std::uint64_t seed)
      : dataset(given), options(std::move(chosen)) {
    check();
    rows = dataset.rows();
    batch = options.batch_size == 0 ? rows : std::min(options.batch_size, rows);
    const std::int64_t rest = rows % batch;
    batches = rows / batch + (rest > 0 && !options.drop_last ? 1 : 0);
    key = fold_in(seed, hash_text("shuffle"));
    // The whole data as one batch are the same rows in any order.
    shuffle = options.shuffle && options.batch_size != 0;
    if (dataset.stream) {
      windows.emplace_back(dataset);
    } else if (dataset.features.dtype() == DType::uint8) {
      bytes.emplace_back(dataset, options.dtype);
    } else {
      features.emplace_back(dataset.features, options.dtype);
    }
    if (dataset.targets && options.one_hot > 0) {
      one_hot.emplace_back(dataset.targets, options.dtype, options.one_hot);
    } else if (dataset.targets) {
      targets.emplace_back(dataset.targets, options.dtype);
    }
    if (dataset.weights) weights.emplace_back(dataset.weights, options.dtype);
    ahead = options.prefetch;
    const std::size_t size =
        size_of(features_dtype()) * static_cast<std::size_t>(batch * dataset.sample_shape().size());
    if (size < kWorthAThread && !options.augment) ahead = 0;
    slots.resize(static_cast<std::size_t>(ahead) + 1);
    for (auto& slot : slots) prepare(slot, rest);
    // One batch that never changes need not be gathered again.
    constant = batches == 1 && !shuffle && !options.augment && ahead == 0;
  }

  void check() const {
    const auto fail = [](const char* what) { throw Error(ErrorKind::usage, what, "data loader"); };
    if (dataset.rows() == 0) fail("there are no rows");
    if (options.batch_size < 0) fail("the batch size must be at least 0 (0: all rows)");
    if (options.prefetch < 0) fail("prefetch must be at least 0");
    if (options.dtype != DType::float32 && options.dtype != DType::float64) {
      fail("batches are float32 or float64");
    }
    if (dataset.stream) return;
    for (const auto* array : {&dataset.targets, &dataset.weights}) {
      if (*array && array->shape()[0] != dataset.rows())
        fail("features and targets differ in rows");
    }
  }

  void prepare(Slot& slot, std::int64_t rest) const {
    const auto make = [&](const Array& like, DType dtype) {
      Shape shape = like.shape();
      shape[0] = batch;
      return Array(dtype, std::move(shape));
    };
    if (!windows.empty()) {
      slot.whole.features = Array(DType::int64, {batch, dataset.context});
      slot.whole.targets = Array(DType::int64, {batch, dataset.context});
    } else {
      slot.whole.features = make(dataset.features, features_dtype());
    }
    if (!targets.empty()) slot.whole.targets = make(dataset.targets, targets[0].dtype());
    if (!one_hot.empty()) slot.whole.targets = Array(options.dtype, {batch, options.one_hot});
    if (!weights.empty()) slot.whole.weights = make(dataset.weights, weights[0].dtype());
    slot.whole.rows = batch;
    if (rest == 0 || options.drop_last) return;
    slot.last.features = slot.whole.features.rows(0, rest);
    if (slot.whole.targets) slot.last.targets = slot.whole.targets.rows(0, rest);
    if (slot.whole.weights) slot.last.weights = slot.whole.weights.rows(0, rest);
    slot.last.rows = rest;
  }

  DType features_dtype() const {
    const bool tokens = dataset.stream || dataset.features.dtype() == DType::int64;
    return tokens ? DType::int64 : options.dtype;
  }

  Permutation permutation(std::int64_t epoch) const {
    return {static_cast<std::uint64_t>(dataset.choices()),
            fold_in(key, static_cast<std::uint64_t>(epoch))};
  }

  // Which row, or of a text which token a row begins with.
  std::int64_t row_at(const Permutation& order, std::int64_t position) const {
    if (!shuffle) return dataset.stream ? position * dataset.context : position;
    const auto row = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(position)));
    return dataset.stream ? row * dataset.stride : row;
  }

  void fill(Slot& slot, Cursor at) const {
    const std::int64_t begin = at.batch * batch;
    slot.is_last = begin + batch > rows;
    Batch& out = slot.batch();
    out.cursor = at;
    const Permutation order = permutation(at.epoch);
    for (std::int64_t i = 0; i < out.rows; ++i) {
      const auto row = row_at(order, begin + i);
      if (!windows.empty()) windows[0](row, i, out);
      if (!bytes.empty()) bytes[0](row, i, out.features);
      if (!features.empty()) features[0](row, i, out.features);
      if (!targets.empty()) targets[0](row, i, out.targets);
      if (!one_hot.empty()) one_hot[0](row, i, out.targets);
      if (!weights.empty()) weights[0](row, i, out.weights);
    }
    if (options.augment) options.augment(out);
  }

  Cursor after(Cursor c) const {
    return c.batch + 1 >= batches ? Cursor{c.epoch + 1, 0} : Cursor{c.epoch, c.batch + 1};
  }

  // ---- the thread that gathers ahead ----
  // Slots are a ring: the thread fills number `filled`, the caller holds number `taken` - 1.

  void start() {
    stop = false;
    filled = taken = 0;
    // Signals go to the program's own thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this, at = cursor] { work(at); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void work(Cursor at) {
    prepare_thread();
    for (;; at = after(at)) {
      {
        std::unique_lock lock(mutex);
        // The slot in the caller's hands is not free.
        space.wait(lock,
                   [&] { return stop || filled + 1 < taken + slots.size() || taken == filled; });
        if (stop) return;
      }
      Slot& slot = slots[filled % slots.size()];
      slot.error = nullptr;
      try {
        fill(slot, at);
      } catch (...) {
        slot.error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex);
        ++filled;
      }
      ready.notify_one();
      if (slot.error) return;
    }
  }

  void halt() {
    if (!thread.joinable()) return;
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    space.notify_one();
    thread.join();
  }

  const Batch& next() {
    if (ahead == 0) {
      Slot& slot = slots[0];
      if (!constant || !gathered) fill(slot, cursor);
      gathered = true;
      slot.batch().cursor = cursor;
      cursor = after(cursor);
      return slot.batch();
    }
    if (!thread.joinable()) start();
    Slot* slot = nullptr;
    {
      std::unique_lock lock(mutex);
      ready.wait(lock, [&] { return filled > taken; });
      slot = &slots[taken % slots.size()];
      ++taken;
    }
    space.notify_one();
    if (slot->error) {
      halt();  // a further call tries this batch again
      std::rethrow_exception(slot->error);
    }
    cursor = after(cursor);
    return slot->batch();
  }

  Dataset dataset;
  LoaderOptions options;
  std::int64_t rows = 0, batch = 0, batches = 0;
  std::uint64_t key = 0;
  bool shuffle = true, constant = false, gathered = false;
  int ahead = 0;
  // None or one of each.
  std::vector<GatherWindows> windows;
  std::vector<GatherBytes> bytes;
  std::vector<Gather> features, targets, weights;
  std::vector<GatherOneHot> one_hot;
  std::vector<Slot> slots;
  Cursor cursor;

  std::thread thread;
  std::mutex mutex;
  std::condition_variable ready, space;
  std::uint64_t filled = 0, taken = 0;
  bool stop = false;
};

Loader::Loader(const Dataset& dataset, LoaderOptions options, std::uint64_t seed)
    : state_(std::make_unique<State>(dataset, std::move(options), seed)) {}

Loader::~Loader() {
  if (state_) state_->halt();
}

Loader::Loader(Loader&&) noexcept = default;

Loader& Loader::operator=(Loader&& other) noexcept {
  if (state_) state_->halt();
  state_ = std::move(other.state_);
  return *this;
}

const Batch& Loader::next() { return state_->next(); }

Cursor Loader::cursor() const { return state_->cursor; }

void Loader::seek(Cursor cursor) {
  State& s = *state_;
  if (cursor.epoch < 0 || cursor.batch < 0 || cursor.batch > s.batches) {
    throw Error(ErrorKind::usage,
                fmt::format("no batch {} in epoch {}: an epoch has {}", cursor.batch, cursor.epoch,
                            s.batches),
                "data loader", "was the batch size changed since the checkpoint?");
  }
  if (cursor.batch == s.batches) cursor = {cursor.epoch + 1, 0};
  s.halt();
  s.cursor = cursor;
}

std::int64_t Loader::rows() const { return state_->rows; }
std::int64_t Loader::batch_size() const { return state_->batch; }
std::int64_t Loader::batches_per_epoch() const { return state_->batches; }
std::int64_t Loader::row_at(std::int64_t epoch, std::int64_t position) const {
  return state_->row_at(state_->permutation(epoch), position);
}

}  // namespace descent::data
