#include "descent/data/augment.h"

#include <cmath>
#include <map>
#include <set>

#include "tests/data/support.h"

namespace descent::data {
namespace {

using Texts = std::vector<std::string>;

// Images whose pixels are all different and not 0, with classes and weights.
Dataset pictures(std::int64_t rows, std::int64_t height = 6, std::int64_t width = 5) {
  Dataset d;
  d.features = Array(DType::float32, {rows, 2, height, width});
  for (std::int64_t i = 0; i < d.features.size(); ++i) {
    d.features.set_item(i, static_cast<double>(i + 1));
  }
  d.targets = Array(DType::int64, {rows});
  for (std::int64_t i = 0; i < rows; ++i) d.targets.set_item(i, static_cast<double>(i % 3));
  return d;
}

Loader loader_of(const Dataset& data, const Texts& operations, LoaderOptions options = {},
                 std::uint64_t seed = 3) {
  Augment augment(operations, data.sample_shape(), seed, options.batch_size);
  if (augment.mixes()) options.one_hot = 3;
  if (!augment.empty()) options.augment = augment;
  return {data, options, seed};
}

// The rows of the first batch, in file order, after the operations.
Batch augmented(const Dataset& data, const Texts& operations, std::uint64_t seed = 3) {
  Loader loader = loader_of(data, operations, {.batch_size = 1024, .shuffle = false}, seed);
  Batch batch = loader.next();
  batch.features = batch.features.clone();
  if (batch.targets) batch.targets = batch.targets.clone();
  return batch;
}

double pixel(const Array& images, std::int64_t row, std::int64_t c, std::int64_t y,
             std::int64_t x) {
  const auto& s = images.shape();
  if (y < 0 || y >= s[2] || x < 0 || x >= s[3]) return 0;
  return images.item(((row * s[1] + c) * s[2] + y) * s[3] + x);
}

// ---- each operation ----

// Every image is a window of itself with zeros around, and every place of the window comes up.
TEST(Augment, CropIsAWindowOfThePaddedImage) {
  const Dataset data = pictures(600);
  const Batch batch = augmented(data, {"crop:2"});
  std::map<std::pair<std::int64_t, std::int64_t>, int> places;
  for (std::int64_t row = 0; row < 600; ++row) {
    int matching = 0;
    for (std::int64_t down = -2; down <= 2; ++down) {
      for (std::int64_t right = -2; right <= 2; ++right) {
        bool equal = true;
        for (std::int64_t c = 0; c < 2; ++c) {
          for (std::int64_t y = 0; y < 6; ++y) {
            for (std::int64_t x = 0; x < 5; ++x) {
              equal &= pixel(batch.features, row, c, y, x) ==
                       pixel(data.features, row, c, y + down, x + right);
            }
          }
        }
        if (!equal) continue;
        ++matching;
        ++places[{down, right}];
      }
    }
    ASSERT_EQ(matching, 1) << row;
  }
  // 24 each of 600; 5 deviations of sqrt(24 * 24 / 25) about it.
  EXPECT_EQ(places.size(), 25u);
  for (const auto& [place, count] : places) EXPECT_NEAR(count, 24, 24);
}

TEST(Augment, CropBeyondTheImageLeavesNothingOrAPart) {
  const Batch batch = augmented(pictures(50), {"crop:100"});
  for (const double x : batch.features.to_vector()) ASSERT_GE(x, 0);
}

TEST(Augment, FlipReversesLines) {
  const Dataset data = pictures(400);
  const Batch batch = augmented(data, {"flip"});
  int flipped = 0;
  for (std::int64_t row = 0; row < 400; ++row) {
    const bool turned = pixel(batch.features, row, 0, 0, 0) != pixel(data.features, row, 0, 0, 0);
    flipped += turned;
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t y = 0; y < 6; ++y) {
        for (std::int64_t x = 0; x < 5; ++x) {
          ASSERT_EQ(pixel(batch.features, row, c, y, x),
                    pixel(data.features, row, c, y, turned ? 4 - x : x));
        }
      }
    }
  }
  EXPECT_NEAR(flipped, 200, 50);  // 5 deviations of 10
}

TEST(Augment, FlipOfAFlipIsTheImage) {
  const Dataset data = pictures(8);
  EXPECT_TRUE(identical(augmented(data, {"flip:1", "flip:1"}).features, data.features));
  EXPECT_FALSE(identical(augmented(data, {"flip:1"}).features, data.features));
  EXPECT_TRUE(identical(augmented(data, {"flip:0"}).features, data.features));
}

// Zeros are the part inside of the image of a square around some pixel, the same in each channel;
// the rest stays.
TEST(Augment, CutoutIsASquareOfZeros) {
  const Dataset data = pictures(200);
  const Batch batch = augmented(data, {"cutout:3"});
  std::set<std::pair<std::int64_t, std::int64_t>> centres;
  for (std::int64_t row = 0; row < 200; ++row) {
    int matching = 0;
    for (std::int64_t cy = 0; cy < 6; ++cy) {
      for (std::int64_t cx = 0; cx < 5; ++cx) {
        bool equal = true;
        for (std::int64_t c = 0; c < 2; ++c) {
          for (std::int64_t y = 0; y < 6; ++y) {
            for (std::int64_t x = 0; x < 5; ++x) {
              const bool inside = std::abs(y - cy) <= 1 && std::abs(x - cx) <= 1;
              equal &= pixel(batch.features, row, c, y, x) ==
                       (inside ? 0 : pixel(data.features, row, c, y, x));
            }
          }
        }
        if (!equal) continue;
        ++matching;
        centres.insert({cy, cx});
      }
    }
    ASSERT_EQ(matching, 1) << row;
  }
  EXPECT_EQ(centres.size(), 30u);
}

TEST(Augment, RotateByNothingAndOverTheRim) {
  const Dataset data = pictures(4);
  EXPECT_TRUE(identical(augmented(data, {"rotate:0"}).features, data.features));
  // The mean of a bilinear rotation of an image of ones is 1 in the middle and less at the rim.
  Dataset ones = pictures(64, 9, 9);
  for (std::int64_t i = 0; i < ones.features.size(); ++i) ones.features.set_item(i, 1);
  const Batch batch = augmented(ones, {"rotate:45"});
  int cut = 0;
  for (std::int64_t row = 0; row < 64; ++row) {
    EXPECT_NEAR(pixel(batch.features, row, 0, 4, 4), 1, 1e-6);
    EXPECT_NEAR(pixel(batch.features, row, 1, 2, 5), 1, 1e-6);
    cut += pixel(batch.features, row, 0, 0, 0) < 0.5;
  }
  EXPECT_GT(cut, 32);
}

// A ramp stays a ramp of the same steepness, in another direction; bilinear interpolation is exact
// for it.
TEST(Augment, RotateTurnsARamp) {
  Dataset data = pictures(32, 15, 15);
  for (std::int64_t i = 0; i < data.features.size(); ++i) {
    data.features.set_item(i, static_cast<double>(i % 15) - 7);
  }
  const Batch batch = augmented(data, {"rotate:90"});
  std::set<double> directions;
  for (std::int64_t row = 0; row < 32; ++row) {
    for (std::int64_t c = 0; c < 2; ++c) {
      const double middle = pixel(batch.features, row, c, 7, 7);
      const double right = pixel(batch.features, row, c, 7, 10) - middle,
                   down = pixel(batch.features, row, c, 10, 7) - middle;
      EXPECT_NEAR(middle, 0, 1e-5);
      EXPECT_NEAR(std::hypot(right, down), 3, 1e-5);
      EXPECT_NEAR(pixel(batch.features, row, c, 10, 10), right + down, 1e-5);
      directions.insert(std::atan2(down, right));
    }
  }
  EXPECT_EQ(directions.size(), 32u);  // one for each row, the same for its channels
  EXPECT_LT(*directions.begin(), -0.5);
  EXPECT_GT(*directions.rbegin(), 0.5);
}

// ---- mixup ----

// The targets tell the pair's weights; features and targets are mixed alike.
TEST(Augment, MixupMixesPairs) {
  const Dataset data = pictures(32);
  const Batch batch = augmented(data, {"mixup:1"});
  ASSERT_EQ(batch.targets.shape(), (Shape{32, 3}));
  const std::int64_t width = 60;
  std::int64_t mixed = 0;
  for (std::int64_t a = 0; a < 32; ++a) {
    double sum = 0;
    for (std::int64_t k = 0; k < 3; ++k) sum += batch.targets.item(a * 3 + k);
    EXPECT_NEAR(sum, 1, 1e-6);
    // Features count on from row to row, so the first pixel tells l a + (1 - l) b, and the change
    // of its partner is the opposite one.
    const double moved = batch.features.item(a * width) - data.features.item(a * width);
    std::int64_t partners = 0;
    for (std::int64_t b = 0; b < 32; ++b) {
      const double back = batch.features.item(b * width) - data.features.item(b * width);
      if (b == a || std::abs(moved + back) > 1e-2) continue;
      const double apart = static_cast<double>((b - a) * width), rest = moved / apart;
      if (rest < 0 || rest > 1) continue;
      const auto own = a % 3, other = b % 3;
      const double expected = own == other ? 1 : 1 - rest;
      if (std::abs(batch.targets.item(a * 3 + own) - expected) > 1e-4) continue;
      ++partners;
    }
    mixed += partners > 0;
  }
  EXPECT_EQ(mixed, 32);
}

TEST(Augment, MixupKeepsTheSumOfTheBatch) {
  const Dataset data = pictures(33);
  const Batch batch = augmented(data, {"mixup:0.4"});
  double before = 0, after = 0;
  for (const double x : data.features.to_vector()) before += x;
  for (const double x : batch.features.to_vector()) after += x;
  EXPECT_NEAR(after / before, 1, 1e-6);
  for (const double t : batch.targets.to_vector()) {
    EXPECT_GE(t, 0);
    EXPECT_LE(t, 1);
  }
}

// Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)), of 4,000 batches of two rows.
TEST(Augment, MixupDrawsFromBeta) {
  for (const double a : {0.05, 0.2, 1.0, 4.0}) {
    Dataset two = pictures(2);
    two.targets = Array::from<std::int64_t>({0, 1}, {2});
    Loader loader = loader_of(two, {"mixup:" + std::to_string(a)}, {.batch_size = 2});
    double sum = 0, squares = 0;
    constexpr int n = 4000;
    for (int i = 0; i < n; ++i) {
      const Batch& batch = loader.next();
      const double l = batch.targets.item(0);
      ASSERT_TRUE(l >= 0 && l <= 1);
      sum += l;
      squares += l * l;
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    EXPECT_NEAR(mean, 0.5, 5 * 0.5 / std::sqrt(n)) << a;
    EXPECT_NEAR(variance, 1 / (4 * (2 * a + 1)), 0.01) << a;
  }
}

TEST(Augment, MixupOfNumbersMixesThem) {
  Dataset data = pictures(2);
  data.targets = Array::from<float>({0, 1}, {2, 1});
  Augment augment({"mixup:1"}, data.sample_shape(), 1, 2);
  Loader loader(data, {.batch_size = 2, .augment = augment}, 1);
  const Batch& batch = loader.next();
  EXPECT_NEAR(batch.targets.item(0) + batch.targets.item(1), 1, 1e-6);
  EXPECT_NE(batch.targets.item(0), 0);
  EXPECT_NE(batch.targets.item(0), 1);
}

// ---- what resuming rests on ----

const Texts kAll{"crop:2", "flip", "rotate:20", "cutout:3", "mixup:0.5"};

TEST(Augment, IsAFunctionOfSeedEpochAndPosition) {
  const Dataset data = pictures(23, 64, 64);  // wide enough for the prefetch thread
  const LoaderOptions options{.batch_size = 5, .prefetch = 0};
  Loader whole = loader_of(data, kAll, options);
  std::vector<Batch> expected;
  std::vector<Cursor> cursors;
  for (int i = 0; i < 15; ++i) {
    cursors.push_back(whole.cursor());
    expected.push_back(whole.next());
    expected.back().features = expected.back().features.clone();
    expected.back().targets = expected.back().targets.clone();
  }
  EXPECT_FALSE(identical(expected[0].features, expected[5].features));  // another epoch
  for (const int prefetch : {0, 3}) {
    LoaderOptions other = options;
    other.prefetch = prefetch;
    for (std::size_t begin = 0; begin < 15; begin += 4) {
      Loader resumed = loader_of(data, kAll, other);
      resumed.next();
      resumed.seek(cursors[begin]);
      for (std::size_t i = begin; i < 15; ++i) {
        const Batch& batch = resumed.next();
        EXPECT_TRUE(identical(batch.features, expected[i].features)) << prefetch << " " << i;
        EXPECT_TRUE(identical(batch.targets, expected[i].targets)) << prefetch << " " << i;
      }
    }
  }
  Loader reseeded = loader_of(data, kAll, options, 4);
  EXPECT_FALSE(identical(reseeded.next().features, expected[0].features));
}

// What happens to a row does not depend on the size of the batches.
TEST(Augment, RowsDoNotDependOnTheBatchSize) {
  const Dataset data = pictures(20);
  std::vector<std::vector<double>> all;
  for (const std::int64_t batch_size : {4, 7, 20}) {
    Loader loader = loader_of(data, {"crop:2", "flip", "cutout:2"}, {.batch_size = batch_size});
    std::vector<double> epoch;
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      for (const double x : loader.next().features.to_vector()) epoch.push_back(x);
    }
    all.push_back(epoch);
  }
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[0], all[2]);
}

TEST(Augment, Float64IsFloat32) {
  const Dataset data = pictures(6);
  Loader narrow = loader_of(data, kAll, {.batch_size = 6}),
         wide = loader_of(data, kAll, {.batch_size = 6, .dtype = DType::float64});
  const Batch &a = narrow.next(), &b = wide.next();
  EXPECT_EQ(b.targets.dtype(), DType::float64);
  for (std::int64_t i = 0; i < a.features.size(); ++i) {
    // Some ten operations on numbers up to 360, rounded to 24 bits.
    ASSERT_NEAR(a.features.item(i), b.features.item(i), 2e-3);
  }
}

TEST(Augment, AllocatesNothingPerBatch) {
  for (const int prefetch : {0, 2}) {
    Loader loader = loader_of(pictures(50), kAll, {.batch_size = 8, .prefetch = prefetch});
    for (int i = 0; i < 14; ++i) loader.next();
    const auto before = allocations();
    for (int i = 0; i < 100; ++i) loader.next();
    EXPECT_EQ(allocations() - before, 0) << prefetch;
  }
}

TEST(Augment, WordsUsageErrors) {
  const auto made = [](const std::string& text, const Shape& sample = {3, 8, 8}) {
    return [=] { Augment({text}, sample, 1, 4); };
  };
  const auto usage = ErrorKind::usage;
  expect_error(made("crp:4"), usage, {"data.augment", "\"crp\"", "did you mean \"crop\"?"});
  expect_error(made("crop"), usage, {"\"crop\"", "margin in pixels", "\"crop:4\""});
  expect_error(made("crop:x"), usage, {"\"crop:x\"", "whole number from 1"});
  expect_error(made("crop:1.5"), usage, {"\"crop:1.5\"", "whole number from 1"});
  expect_error(made("flip:2"), usage, {"probability must be a number from 0 to 1"});
  expect_error(made("mixup:0"), usage, {"alpha"});
  expect_error(made("cutout:nan"), usage, {"side in pixels"});
  expect_error(made("rotate:181"), usage, {"degrees"});
  expect_error(made("flip", {7}), usage, {"flip is for images, the rows are [7]"});
  EXPECT_NO_THROW(made("mixup:0.2", {7})());
  EXPECT_TRUE(Augment({}, {7}, 1, 4).empty());
}

TEST(Loader, OneHotTargets) {
  Loader loader(pictures(4), {.batch_size = 4, .shuffle = false, .one_hot = 3}, 1);
  const Batch& batch = loader.next();
  EXPECT_EQ(batch.targets.dtype(), DType::float32);
  EXPECT_EQ(batch.targets.to_vector(), (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0}));
  expect_error([] { Loader(pictures(4), {.one_hot = 2}, 1); }, ErrorKind::usage,
               {"label 2 for 2 classes"});
}

}  // namespace
}  // namespace descent::data
