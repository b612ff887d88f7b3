#include "descent/train/version.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <Eigen/Core>
#include <oneapi/dnnl/dnnl.hpp>

namespace descent::train {

nlohmann::json versions() {
  const auto* onednn = dnnl_version();
  return {{"descent", kVersion},
          {"compiler", __VERSION__},
          {"onednn", fmt::format("{}.{}.{}", onednn->major, onednn->minor, onednn->patch)},
          {"eigen",
           fmt::format("{}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
                              FMT_VERSION % 100)},
          {"zlib", zlibVersion()},
          {"zstd", ZSTD_versionString()}};
}

}  // namespace descent::train
