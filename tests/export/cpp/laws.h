// What every test of this folder says of its laws.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <cstdio>
#include <functional>
#include <string>

namespace laws {

inline int n_failed = 0;

inline void check(bool holds, const std::string& law) {
  std::printf("%s  %s\n", holds ? "ok    " : "FAILED", law.c_str());
  if (!holds) ++n_failed;
}

/// The one line with which an attempt is refused; "" if it is not.
inline std::string refusal(const std::function<void()>& attempt) {
  try {
    attempt();
    return "";
  } catch (const spinconv::Error& error) {
    return error.what();
  }
}

inline void check_refused(const std::string& words, const std::function<void()>& attempt) {
  const auto text = refusal(attempt);
  check(text.find(words) != std::string::npos && text.find('\n') == std::string::npos, "refused with: " + (text.empty() ? words : text));
}

}  // namespace laws
