// What a function complains of.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "descent/base/error.h"

namespace descent::test {

// The text of the usage error that f throws, or "no error".
inline std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "no error";
}

}  // namespace descent::test
