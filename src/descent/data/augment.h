// Augmentation: training rows changed at random while they are gathered. What happens to a row is
// a function of (seed, epoch, position in the epoch) alone, what happens to a batch (mixup) of
// (seed, epoch, batch), so neither resuming nor the prefetch thread changes it.
//
// Operations are texts "name" or "name:amount", done in the order given, on normalised features:
// what comes in from outside of an image is 0, the channel's mean where data.normalize is
// "standard".
//   crop:n      n pixels of margin all round, then a crop of the old size anywhere in it
//               (torchvision's RandomCrop with padding)
//   flip        left and right exchanged with probability 0.5; flip:p with another
//   rotate:d    about the middle, by an angle from -d to d degrees, bilinear
//   cutout:n    a square of n x n around any pixel set to 0 (DeVries & Taylor 2017)
//   mixup:a     rows in random pairs x, y become l x + (1 - l) y and l y + (1 - l) x, targets too,
//               l ~ Beta(a, a), one for a batch (Zhang et al. 2018)
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "descent/data/loader.h"

namespace descent::data {

class Augment {
 public:
  // `sample`: shape of one row's features; `batch_size`: of the loader's full batches. Throws usage
  // errors for what it does not know, or cannot do to such rows.
  Augment(const std::vector<std::string>& operations, const Shape& sample, std::uint64_t seed,
          std::int64_t batch_size);

  bool empty() const { return operations_.empty(); }
  // Whether targets are mixed: classes must then be given as probabilities (LoaderOptions).
  bool mixes() const;
  // Changes the batch in place, for LoaderOptions::augment. Allocates nothing after the first call.
  void operator()(Batch& batch);

  struct Kind;  // a row of the table in augment.cpp

 private:
  struct Operation {
    const Kind* kind;
    double amount;
    std::uint64_t key;
  };
  template <class T>
  void run(Batch& batch);

  std::vector<Operation> operations_;
  Shape sample_;
  std::int64_t batch_size_;
  Array scratch_;
};

}  // namespace descent::data
