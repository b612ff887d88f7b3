#include "descent/data/cifar.h"

#include <fmt/format.h>

#include <cstring>

#include "descent/base/error.h"

namespace descent::data {
namespace {

constexpr std::size_t kPixels = 3 * 32 * 32;

// How many different labels each label byte may hold.
using LabelBytes = std::vector<int>;
const LabelBytes& cifar10() {
  static const LabelBytes bytes{10};
  return bytes;
}
const LabelBytes& cifar100() {
  static const LabelBytes bytes{20, 100};
  return bytes;
}

std::size_t record_of(const LabelBytes& labels) { return labels.size() + kPixels; }

// Offset of the first label that is too large, or npos.
std::size_t bad_label(std::string_view bytes, const LabelBytes& labels) {
  for (std::size_t at = 0; at + labels.size() <= bytes.size(); at += record_of(labels)) {
    for (std::size_t k = 0; k < labels.size(); ++k) {
      if (static_cast<unsigned char>(bytes[at + k]) >= labels[k]) return at + k;
    }
  }
  return std::string_view::npos;
}

bool fits(std::string_view bytes, const LabelBytes& labels) {
  return !bytes.empty() && bytes.size() % record_of(labels) == 0 &&
         bad_label(bytes, labels) == std::string_view::npos;
}

// The set whose images these are. Where neither fits wholly, the one whose size fits, so that the
// error can name the label.
const LabelBytes& set_of(const CifarFile& file) {
  const auto size = file.bytes.size();
  for (const auto* labels : {&cifar10(), &cifar100()}) {
    if (fits(file.bytes, *labels)) return *labels;
  }
  for (const auto* labels : {&cifar10(), &cifar100()}) {
    if (size > 0 && size % record_of(*labels) == 0) return *labels;
  }
  throw Error(ErrorKind::data,
              fmt::format("{} bytes are no whole number of images of {} (CIFAR-10) or {} "
                          "(CIFAR-100) bytes; for CIFAR-10 the last whole one ends at byte {}",
                          size, record_of(cifar10()), record_of(cifar100()),
                          size - size % record_of(cifar10())),
              file.where, "is the file complete?");
}

void check_labels(const CifarFile& file, const LabelBytes& labels) {
  if (file.bytes.empty() || file.bytes.size() % record_of(labels) != 0) {
    throw Error(ErrorKind::data,
                fmt::format("{} bytes are no whole number of images of {} bytes, as in the first "
                            "file",
                            file.bytes.size(), record_of(labels)),
                file.where, "the files of a folder must be of one set, and complete");
  }
  const auto at = bad_label(file.bytes, labels);
  if (at == std::string_view::npos) return;
  throw Error(ErrorKind::data,
              fmt::format("byte {}: label {}, expected 0 to {}", at,
                          static_cast<int>(static_cast<unsigned char>(file.bytes[at])),
                          labels[at % record_of(labels)] - 1),
              file.where, "is it a CIFAR file, and not damaged?");
}

}  // namespace

CifarImages decode_cifar(const std::vector<CifarFile>& files) {
  const LabelBytes& labels = set_of(files.at(0));
  const std::size_t record = record_of(labels);
  std::size_t rows = 0;
  for (const auto& file : files) {
    check_labels(file, labels);
    rows += file.bytes.size() / record;
  }
  CifarImages out;
  out.images = Array(DType::uint8, {static_cast<std::int64_t>(rows), 3, 32, 32});
  std::byte* to = out.images.raw();
  for (const auto& file : files) {
    for (std::size_t at = 0; at < file.bytes.size(); at += record, to += kPixels) {
      const auto label = [&](std::size_t k) {
        return static_cast<double>(static_cast<unsigned char>(file.bytes[at + k]));
      };
      out.labels.push_back(label(0));
      if (labels.size() > 1) out.fine.push_back(label(1));
      std::memcpy(to, file.bytes.data() + at + labels.size(), kPixels);
    }
  }
  return out;
}

bool is_cifar(std::string_view bytes) { return fits(bytes, cifar10()) || fits(bytes, cifar100()); }

}  // namespace descent::data
