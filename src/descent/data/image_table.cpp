#include "descent/data/image_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/base/threads.h"
#include "descent/data/block.h"
#include "descent/data/image.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

// data.channels and data.image_size; height and width 0: not given.
ImageSize wanted_size(const Options& options) {
  ImageSize size;
  if (options.has("channels")) size.channels = options.integer("channels");
  if (size.channels != 1 && size.channels != 3) {
    throw Error(ErrorKind::usage, fmt::format("images of {} channels", size.channels),
                "option \"data.channels\"", "1 for grey, 3 for colour");
  }
  if (!options.has("image_size")) return size;
  const auto given = options.integers("image_size");
  if (given.empty()) return size;
  const bool positive = std::ranges::all_of(given, [](auto n) { return n >= 1; });
  if (given.size() > 2 || !positive) {
    throw Error(ErrorKind::usage, "an image size is one number or [height, width], from 1",
                "option \"data.image_size\"", "for example 64, or [48, 64]");
  }
  size.height = given.front();
  size.width = given.back();
  return size;
}

void give_size(ImageSize& size, const Image& image) {
  if (size.height != 0) return;
  size.height = image.height;
  size.width = image.width;
}

// All images lie in memory, and once more in the parts that they are split into.
void check_memory(std::size_t images, const ImageSize& size, const std::string& where) {
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  const double needed = 2 * static_cast<double>(images) * static_cast<double>(size.channels) *
                        static_cast<double>(size.height) * static_cast<double>(size.width);
  if (needed < memory) return;
  throw Error(ErrorKind::data,
              fmt::format("{} images of {} x {} need {:.1f} GiB of memory, more than the {:.1f} "
                          "there are",
                          with_commas(static_cast<std::int64_t>(images)), size.height, size.width,
                          needed * 0x1p-30, memory * 0x1p-30),
              where, "set a smaller data.image_size");
}

// Decodes the files into rows of a block, each on whichever processor is free; what does not
// decode is remembered in its place, so that the outcome is that of one processor.
class Decoding {
 public:
  Decoding(const std::vector<ImageFile>& files, const std::string& where, const Options& options)
      : files_(files), where_(where), errors_(files.size()), size_(wanted_size(options)) {
    strict_ = options.has("strict") && options.boolean("strict");
    fixed_ = size_.height != 0;
  }

  void run() {
    if (!fixed_) find_size();
    check_memory(files_.size(), size_, where_);
    block_ = Array(DType::uint8, {static_cast<std::int64_t>(files_.size()), size_.channels,
                                  size_.height, size_.width});
    std::atomic<std::size_t> next{0};
    ThreadPool pool(
        static_cast<int>(std::min(static_cast<std::size_t>(processors()), files_.size() / 16 + 1)));
    pool.run([&](int) {
      for (std::size_t i = next++; i < files_.size(); i = next++) decode(i);
    });
  }

  // The rows that decoded, in order, moved together.
  std::vector<std::size_t> keep(std::vector<std::string>& warnings) {
    std::vector<std::size_t> kept;
    const Error* first = nullptr;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (!errors_[i]) {
        kept.push_back(i);
        continue;
      }
      if (strict_ || errors_[i]->kind() != ErrorKind::data) throw *errors_[i];
      if (first == nullptr) first = &*errors_[i];
    }
    if (first != nullptr) tell(kept.size(), *first, warnings);
    const auto bytes = static_cast<std::size_t>(size_.bytes());
    for (std::size_t k = 0; k < kept.size(); ++k) {
      if (kept[k] != k) {
        std::memcpy(block_.raw() + k * bytes, block_.raw() + kept[k] * bytes, bytes);
      }
    }
    block_ = block_.rows(0, static_cast<std::int64_t>(kept.size()));
    return kept;
  }

  const Array& block() const { return block_; }

 private:
  // The size of the first image that decodes.
  void find_size() {
    for (std::size_t i = 0; i < files_.size() && size_.height == 0; ++i) {
      try {
        give_size(size_, decode_image(read_file(files_[i].path), files_[i].path));
        example_ = i;
      } catch (const Error& error) {
        errors_[i] = error;
        if (strict_) throw;
      }
    }
    if (size_.height == 0) throw Error(*errors_.front());
  }

  void decode(std::size_t i) {
    if (errors_[i]) return;
    try {
      const Image image = decode_image(read_file(files_[i].path), files_[i].path);
      check_size(image, i);
      fit_image(image, size_,
                reinterpret_cast<std::uint8_t*>(block_.raw()) +
                    static_cast<std::int64_t>(i) * size_.bytes());
    } catch (const Error& error) {
      errors_[i] = error;
    } catch (const std::exception& error) {
      errors_[i] = Error(ErrorKind::internal, error.what(), files_[i].path);
    }
  }

  void check_size(const Image& image, std::size_t i) const {
    if (fixed_ || (image.height == size_.height && image.width == size_.width)) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("the image is {} x {}, {} is {} x {} (height x width)", image.height,
                    image.width, base_name(files_[example_].path), size_.height, size_.width),
        files_[i].path, "set data.image_size, for example to 64: all are brought to it");
  }

  void tell(std::size_t kept, const Error& first, std::vector<std::string>& warnings) const {
    const std::size_t bad = files_.size() - kept;
    const std::string why = fmt::format("{}: {}", first.where(), first.message());
    if (bad > kept) {
      throw Error(
          ErrorKind::data,
          fmt::format("{} of {} images do not decode; the first: {}", bad, files_.size(), why),
          where_, "are they JPEG or PNG images?");
    }
    warnings.push_back(fmt::format("{} left out; the first: {} (data.strict = true stops)",
                                   counted(static_cast<std::int64_t>(bad), "image"), why));
  }

  const std::vector<ImageFile>& files_;
  const std::string& where_;
  std::vector<std::optional<Error>> errors_;  // of each file
  ImageSize size_;
  bool strict_ = false, fixed_ = false;
  std::size_t example_ = 0;
  Array block_;
};

}  // namespace

Table image_table(const std::vector<ImageFile>& files, const std::vector<std::string>& classes,
                  const std::string& where, const Options& options) {
  Decoding decoding(files, where, options);
  decoding.run();
  std::vector<std::string> warnings;
  const auto kept = decoding.keep(warnings);
  Table table = block_table(decoding.block(), where);
  table.warnings = std::move(warnings);
  Column label{.name = "label", .kind = Column::Kind::text, .dictionary = classes, .labels = true};
  for (const auto i : kept) {
    table.files.push_back(files[i].path);
    label.codes.push_back(files[i].code);
  }
  if (!classes.empty()) table.columns.push_back(std::move(label));
  return table;
}

Table image_table(std::string_view bytes, const std::string& where, const Options& options) {
  const Image image = decode_image(bytes, where);
  ImageSize size = wanted_size(options);
  give_size(size, image);
  Array block(DType::uint8, {1, size.channels, size.height, size.width});
  fit_image(image, size, reinterpret_cast<std::uint8_t*>(block.raw()));
  Table table = block_table(std::move(block), where);
  table.files = {where};
  return table;
}

}  // namespace descent::data
