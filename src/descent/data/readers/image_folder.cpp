// Image folders, as torchvision.datasets.ImageFolder: the classes are the names of the folders.
#include <algorithm>
#include <filesystem>

#include "descent/base/error.h"
#include "descent/data/image.h"
#include "descent/data/image_table.h"
#include "descent/data/registry.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// Names in a folder, sorted, without hidden ones.
template <class Wanted>
Names names_in(const fs::path& folder, Wanted wanted) {
  Names names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    auto name = entry.path().filename().string();
    if (!name.starts_with('.') && wanted(entry)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

Names images_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& entry) {
    std::error_code error;
    return is_image_name(entry.path()) && entry.is_regular_file(error);
  });
}

Names folders_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& entry) {
    std::error_code error;
    return entry.is_directory(error);
  });
}

struct Listing {
  std::vector<ImageFile> files;
  Names classes;  // none: the images lie in the folder itself
};

Listing list(const fs::path& folder) {
  Listing found;
  for (const auto& name : folders_in(folder)) {
    const auto images = images_in(folder / name);
    if (images.empty()) continue;
    const auto code = static_cast<std::int32_t>(found.classes.size());
    found.classes.push_back(name);
    for (const auto& image : images) {
      found.files.push_back({(folder / name / image).string(), code});
    }
  }
  if (!found.classes.empty()) return found;
  for (const auto& image : images_in(folder)) found.files.push_back({(folder / image).string()});
  return found;
}

// The folder of a part, where it holds folders of images: a folder "train" that holds images
// itself is a class.
Listing list_part(const fs::path& root, const Names& names) {
  for (const auto& name : names) {
    Listing found = list(root / name);
    if (!found.classes.empty()) return found;
  }
  return {};
}

int recognise(const Origin& origin) {
  if (!origin.folder) return image_format(origin.bytes) == ImageFormat::none ? 0 : 100;
  return !list(origin.path).files.empty() || !list_part(origin.path, {"train"}).files.empty() ? 70
                                                                                              : 0;
}

Tables read(const Origin& origin, const Options& options, std::uint64_t) {
  if (!origin.folder) return {.train = image_table(origin.bytes, origin.path, options)};
  const auto table = [&](const Listing& listing) {
    return image_table(listing.files, listing.classes, origin.path, options);
  };
  if (const Listing train = list_part(origin.path, {"train"}); !train.files.empty()) {
    Tables tables{.train = table(train)};
    const auto valid = list_part(origin.path, {"valid", "val"});
    const auto test = list_part(origin.path, {"test"});
    if (!valid.files.empty()) tables.valid = table(valid);
    if (!test.files.empty()) tables.test = table(test);
    return tables;
  }
  const Listing all = list(origin.path);
  if (all.files.empty()) {
    throw Error(ErrorKind::data, "the folder holds no images (.jpg, .jpeg, .png)", origin.path,
                "it wants CLASS/*.jpg, or train/CLASS/*.jpg with valid/ and test/ beside");
  }
  return {.train = table(all)};
}

}  // namespace

void register_image_folder(ReaderRegistry& registry) {
  registry.add(
      {.name = "image_folder",
       .help =
           "JPEG and PNG images: a folder of folders named after the classes, perhaps inside of "
           "train, valid (or val) and test; or images without labels, to predict",
       .options = {{.key = "image_size",
                    .type = OptionType::integers,
                    .fallback = std::vector<std::int64_t>{},
                    .help =
                        "images: the size they are brought to, a number or [height, width]: shrunk "
                        "(or enlarged) to cover it, then its middle; empty: all have one size"},
                   {.key = "channels",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{3},
                    .help = "images: 3 for colour (grey ones repeat theirs), 1 for grey"}},
       .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
