#include "descent/data/loader.h"

#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "tests/data/support.h"

namespace descent::data {
namespace {

// Row i has the features i and 1000 + i, the class i % 3, the weight i / 2.
Dataset numbered(std::int64_t rows, std::int64_t width = 2) {
  Dataset d;
  d.features = Array(DType::float32, {rows, width});
  d.targets = Array(DType::int64, {rows});
  d.weights = Array(DType::float32, {rows});
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < width; ++j)
      d.features.set_item(i * width + j, static_cast<double>(1000 * j + i));
    d.targets.set_item(i, static_cast<double>(i % 3));
    d.weights.set_item(i, static_cast<double>(i) / 2);
  }
  return d;
}

// Wide enough that the prefetch thread is used.
Dataset wide(std::int64_t rows) { return numbered(rows, 4096); }

std::vector<double> first_features(const Batch& batch) {
  std::vector<double> out;
  const auto width = batch.features.size() / batch.rows;
  for (std::int64_t i = 0; i < batch.rows; ++i) out.push_back(batch.features.item(i * width));
  return out;
}

TEST(Loader, EveryEpochIsAPermutation) {
  for (const std::int64_t rows : {1, 2, 7, 64, 100}) {
    for (const std::int64_t batch : {1, 3, 32, 200}) {
      Loader loader(numbered(rows), {.batch_size = batch}, 5);
      std::set<std::vector<double>> orders;
      for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
        std::vector<double> seen;
        for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
          const Batch& got = loader.next();
          EXPECT_EQ(got.cursor, (Cursor{epoch, b}));
          for (std::int64_t i = 0; i < got.rows; ++i) {
            const double row = got.features.item(i * 2);
            seen.push_back(row);
            EXPECT_EQ(row, static_cast<double>(loader.row_at(epoch, b * loader.batch_size() + i)));
            EXPECT_EQ(got.features.item(i * 2 + 1), 1000 + row);
            EXPECT_EQ(got.targets.item(i), std::fmod(row, 3));
            EXPECT_EQ(got.weights.item(i), row / 2);
          }
        }
        orders.insert(seen);
        std::ranges::sort(seen);
        std::vector<double> all(static_cast<std::size_t>(rows));
        std::iota(all.begin(), all.end(), 0);
        EXPECT_EQ(seen, all);
      }
      if (rows >= 64) {  // another order every epoch
        EXPECT_EQ(orders.size(), 4u);
      }
    }
  }
}

TEST(Loader, ShortLastBatch) {
  Loader keep(numbered(10), {.batch_size = 4}, 1),
      drop(numbered(10), {.batch_size = 4, .drop_last = true}, 1);
  EXPECT_EQ(keep.batches_per_epoch(), 3);
  EXPECT_EQ(drop.batches_per_epoch(), 2);
  keep.next();
  keep.next();
  const Batch& last = keep.next();
  EXPECT_EQ(last.rows, 2);
  EXPECT_EQ(last.features.shape(), (Shape{2, 2}));
  EXPECT_EQ(last.targets.shape(), Shape{2});
  EXPECT_EQ(keep.cursor(), (Cursor{1, 0}));
}

TEST(Loader, WholeDataInFileOrder) {
  for (const auto& options :
       {LoaderOptions{.batch_size = 0}, {.batch_size = 100, .shuffle = false}}) {
    Loader loader(numbered(10), options, 1);
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      const Batch& all = loader.next();
      EXPECT_EQ(first_features(all), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
      EXPECT_EQ(all.cursor, (Cursor{epoch, 0}));
    }
  }
}

// The promise that resuming rests on: any cursor continues the uninterrupted sequence.
TEST(Loader, ResumedAtAnyCursorEqualsUninterrupted) {
  for (const int prefetch : {0, 3}) {
    const Dataset data = wide(23);
    const LoaderOptions options{.batch_size = 5, .prefetch = prefetch};
    Loader whole(data, options, 9);
    std::vector<Array> features;
    std::vector<Cursor> cursors;
    for (int i = 0; i < 15; ++i) {
      cursors.push_back(whole.cursor());
      features.push_back(whole.next().features.clone());
    }
    for (std::size_t begin = 0; begin < 15; ++begin) {
      Loader resumed(data, options, 9);
      resumed.next();
      resumed.seek(cursors[begin]);
      for (std::size_t i = begin; i < 15; ++i) {
        EXPECT_EQ(resumed.cursor(), cursors[i]);
        EXPECT_TRUE(identical(resumed.next().features, features[i]));
      }
    }
  }
}

TEST(Loader, PrefetchingDoesNotChangeWhatComes) {
  const Dataset data = wide(40);
  Loader plain(data, {.batch_size = 8, .prefetch = 0}, 2),
      ahead(data, {.batch_size = 8, .prefetch = 4}, 2);
  for (int i = 0; i < 30; ++i) {
    // A slow caller and a fast one.
    if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const Batch &a = plain.next(), &b = ahead.next();
    EXPECT_TRUE(identical(a.features, b.features));
    EXPECT_TRUE(identical(a.targets, b.targets));
    EXPECT_TRUE(identical(a.weights, b.weights));
    EXPECT_EQ(a.cursor, b.cursor);
  }
}

TEST(Loader, BatchStaysUntilTheNextCall) {
  Loader loader(wide(64), {.batch_size = 4, .prefetch = 2}, 2);
  for (int i = 0; i < 20; ++i) {
    const Batch& batch = loader.next();
    const Array before = batch.features.clone();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // time for the thread to run ahead
    EXPECT_TRUE(identical(batch.features, before));
  }
}

TEST(Loader, OrderDependsOnTheSeedAlone) {
  const auto order = [](std::uint64_t seed, std::int64_t batch) {
    Loader loader(numbered(50), {.batch_size = batch}, seed);
    std::vector<double> out;
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      for (const double x : first_features(loader.next())) out.push_back(x);
    }
    return out;
  };
  EXPECT_EQ(order(1, 8), order(1, 50));
  EXPECT_NE(order(1, 8), order(2, 8));
}

TEST(Loader, ScalesBytesPerChannel) {
  Dataset d;
  d.features = Array(DType::uint8, {3, 2, 1, 2});
  for (std::int64_t i = 0; i < 12; ++i) d.features.set_item(i, static_cast<double>(20 * i));
  d.shift = {10, 20};
  d.scale = {0.5F, 0.25F};
  for (const auto dtype : {DType::float32, DType::float64}) {
    Loader loader(d, {.batch_size = 2, .shuffle = false, .dtype = dtype}, 1);
    const Batch& batch = loader.next();
    EXPECT_EQ(batch.features.dtype(), dtype);
    EXPECT_EQ(batch.features.shape(), (Shape{2, 2, 1, 2}));
    EXPECT_EQ(batch.features.to_vector(), (std::vector<double>{-5, 5, 5, 10, 35, 45, 25, 30}));
  }
  d.shift = {100};
  d.scale = {2};
  Loader one(d, {.batch_size = 1, .shuffle = false}, 1);
  EXPECT_EQ(one.next().features.to_vector(), (std::vector<double>{-200, -160, -120, -80}));
}

TEST(Loader, Float64) {
  Loader loader(numbered(4), {.batch_size = 4, .shuffle = false, .dtype = DType::float64}, 1);
  const Batch& batch = loader.next();
  EXPECT_EQ(batch.features.dtype(), DType::float64);
  EXPECT_EQ(batch.weights.dtype(), DType::float64);
  EXPECT_EQ(batch.targets.dtype(), DType::int64);
  EXPECT_EQ(batch.features.to_vector(), (std::vector<double>{0, 1000, 1, 1001, 2, 1002, 3, 1003}));
}

TEST(Loader, AllocatesNothingPerBatch) {
  for (const int prefetch : {0, 2}) {
    Loader loader(wide(50), {.batch_size = 8, .prefetch = prefetch}, 1);
    std::set<const void*> memory;
    for (int i = 0; i < 14; ++i) memory.insert(loader.next().features.raw());
    EXPECT_LE(memory.size(), static_cast<std::size_t>(prefetch) + 1);
    const auto before = allocations();
    for (int i = 0; i < 100; ++i) loader.next();
    EXPECT_EQ(allocations() - before, 0) << prefetch;
  }
}

TEST(Loader, ErrorsOfTheThreadComeOutOfNext) {
  for (const int prefetch : {0, 2}) {
    std::atomic<int> calls{0};
    Loader loader(wide(40),
                  {.batch_size = 8,
                   .prefetch = prefetch,
                   .augment =
                       [&](Batch& batch) {
                         if (batch.cursor.batch == 2 && calls++ == 0)
                           throw Error(ErrorKind::data, "torn");
                         batch.features.set_item(0, -1);
                       }},
                  1);
    EXPECT_EQ(loader.next().features.item(0), -1);
    loader.next();
    expect_error([&] { loader.next(); }, ErrorKind::data, {"torn"});
    EXPECT_EQ(loader.next().cursor, (Cursor{0, 2}));  // the same batch, once more
    EXPECT_EQ(loader.next().cursor, (Cursor{0, 3}));
  }
}

TEST(Loader, StopsCleanlyAtAnyTime) {
  for (int i = 0; i < 50; ++i) {
    Loader loader(wide(64), {.batch_size = 4, .prefetch = 1 + i % 5}, 1);
    for (int k = 0; k < i % 4; ++k) loader.next();
    Loader moved = std::move(loader);
    moved.next();
    moved = Loader(wide(16), {.batch_size = 4}, 1);
    moved.next();
  }
}

TEST(Loader, WordsUsageErrors) {
  expect_error([] { Loader(Dataset{}, {}, 1); }, ErrorKind::usage, {"no rows"});
  expect_error([] { Loader(numbered(3), {.batch_size = -1}, 1); }, ErrorKind::usage,
               {"batch size"});
  Loader loader(numbered(10), {.batch_size = 4}, 1);
  expect_error(
      [&] {
        loader.seek({0, 4});
      },
      ErrorKind::usage, {"no batch 4 in epoch 0: an epoch has 3"});
  loader.seek({0, 3});
  EXPECT_EQ(loader.cursor(), (Cursor{1, 0}));
}

TEST(Dataset, Take) {
  const Dataset some = take(numbered(5), std::vector<std::int64_t>{4, 0, 4});
  EXPECT_EQ(some.rows(), 3);
  EXPECT_EQ(some.features.to_vector(), (std::vector<double>{4, 1004, 0, 1000, 4, 1004}));
  EXPECT_EQ(some.targets.to_vector(), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(some.sample_shape(), Shape{2});
}

}  // namespace
}  // namespace descent::data
