# Warnings, floating point and sanitizers: one interface target that every room links.
add_library(descent_flags INTERFACE)
target_compile_options(descent_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
  # One rounding per written operation: fused multiply-adds would make a fused plan differ from
  # the eager run in the last bit.
  -ffp-contract=off
  $<$<BOOL:${DESCENT_WERROR}>:-Werror>
  # GCC 12 and 13 report false positives in inlined standard containers at -O2.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-maybe-uninitialized -Wno-restrict>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_GREATER_EQUAL:$<CXX_COMPILER_VERSION>,13>>:-Wno-dangling-reference>)
target_include_directories(descent_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)

if(DESCENT_SANITIZE)
  target_compile_options(descent_flags INTERFACE
    -fsanitize=${DESCENT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(descent_flags INTERFACE -fsanitize=${DESCENT_SANITIZE})
endif()
if(DESCENT_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "DESCENT_FUZZ needs clang (libFuzzer): CXX=clang++, or cmake --preset fuzz")
  endif()
  target_compile_options(descent_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
