# What the library needs. Everything is a Debian 12 / Ubuntu 24.04 package; docs/dependencies.md
# says why each. The installed package reads this file too, with descent_find = find_dependency,
# so that a consumer looks for the same things. Versions are floors that both systems meet.
if(NOT COMMAND descent_find)
  macro(descent_find)
    find_package(${ARGV} REQUIRED)
  endmacro()
endif()

descent_find(Threads)
descent_find(OpenMP COMPONENTS CXX)
descent_find(Eigen3 3.4 NO_MODULE)
descent_find(nlohmann_json 3.11)
descent_find(fmt 9)
descent_find(ZLIB)
descent_find(JPEG)
descent_find(PNG 1.6)
descent_find(GIF 5)

descent_find(PkgConfig)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy>=1.0.3)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo>=1.16)
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus>=3.3)
pkg_check_modules(NLOPT QUIET IMPORTED_TARGET nlopt>=2.7)  # optional: gradient-free minimisers

# Its package file links the trainer too, which nothing here needs.
if(NOT TARGET sentencepiece::sentencepiece)
  find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h)
  find_library(SENTENCEPIECE_LIBRARY sentencepiece)
  mark_as_advanced(SENTENCEPIECE_INCLUDE_DIR SENTENCEPIECE_LIBRARY)
  if(NOT SENTENCEPIECE_INCLUDE_DIR OR NOT SENTENCEPIECE_LIBRARY)
    message(FATAL_ERROR "SentencePiece not found: install libsentencepiece-dev")
  endif()
  add_library(sentencepiece::sentencepiece UNKNOWN IMPORTED)
  set_target_properties(sentencepiece::sentencepiece PROPERTIES
    IMPORTED_LOCATION "${SENTENCEPIECE_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${SENTENCEPIECE_INCLUDE_DIR}")
endif()

# oneDNN's own package file insists on OpenCL headers where it was built with an OpenCL engine, as
# Debian's is; the CPU engine needs none, so look for the library itself.
if(NOT TARGET DNNL::dnnl)
  find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
  find_library(DNNL_LIBRARY dnnl)
  mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY)
  if(NOT DNNL_INCLUDE_DIR OR NOT DNNL_LIBRARY)
    message(FATAL_ERROR "oneDNN not found: install libdnnl-dev, or set CMAKE_PREFIX_PATH to where it lies")
  endif()
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES
    IMPORTED_LOCATION "${DNNL_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${DNNL_INCLUDE_DIR}")
endif()
