// The binary form of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): images
// one after the other, each its label bytes and 3072 bytes of pixels: the red, the green and the
// blue plane of 32x32. CIFAR-10 has one label byte, CIFAR-100 a coarse one (of 20) and a fine one.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/array.h"

namespace descent::data {

struct CifarImages {
  Array images;                      // uint8 [rows, 3, 32, 32]
  std::vector<double> labels, fine;  // of each row; CIFAR-10 has no fine ones
};

// The images in `files` (bytes and name of each), one after the other. Errors are of kind data and
// give the file's byte offset.
struct CifarFile {
  std::string_view bytes;
  std::string where;
};
CifarImages decode_cifar(const std::vector<CifarFile>& files);

// Whether the bytes have the size and the labels of whole images.
bool is_cifar(std::string_view bytes);

}  // namespace descent::data
