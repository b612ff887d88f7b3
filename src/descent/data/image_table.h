// Image files to a table: read, decoded and fitted to one size on all processors.
#pragma once
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/data/table.h"

namespace descent::data {

struct ImageFile {
  std::string path;
  std::int32_t code = -1;  // index of its class in `classes`
};

// uint8 [rows, channels, height, width] as data.channels and data.image_size say (no size: that of
// the first image, which all must have), and the column "label" unless there are no classes. An
// image that does not decode is an error where data.strict is set, else left out with a warning.
Table image_table(const std::vector<ImageFile>& files, const std::vector<std::string>& classes,
                  const std::string& where, const Options& options);

// The same of one image in memory.
Table image_table(std::string_view bytes, const std::string& where, const Options& options);

}  // namespace descent::data
