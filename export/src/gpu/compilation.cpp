// SPDX-License-Identifier: MIT
#include "compilation.h"

#include "prelude.h"

#include "spinconv/device.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <vector>

namespace spinconv::gpu {
namespace {

constexpr const char* double_line = "#define REAL_IS_DOUBLE\n";
constexpr size_t most_lines = 3, most_characters = 600;

std::string trimmed(std::string line) {
  std::replace_if(line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  const auto first = line.find_first_not_of(' ');
  return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(' ') - first + 1);
}

std::vector<std::string> lines_of(const std::string& log) {
  std::vector<std::string> lines;
  std::istringstream stream(log);
  for (std::string line; std::getline(stream, line);)
    if (line = trimmed(line); !line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace

std::string whole_text(const std::string& source, bool groups_in_turn) {
  const std::string head = double_line;
  const bool is_double = source.compare(0, head.size(), head) == 0;
  return (is_double ? head : "") + (groups_in_turn ? "#define GROUPS_IN_TURN\n" : "") + prelude + "#line " + (is_double ? "2" : "1") + " \"kernels\"\n" + source.substr(is_double ? head.size() : 0);
}

std::string first_words(const std::string& log) {
  const auto lines = lines_of(log);
  std::vector<std::string> errors;
  std::copy_if(lines.begin(), lines.end(), std::back_inserter(errors), [](const std::string& line) { return line.find("error") != std::string::npos; });
  const auto& chosen = errors.empty() ? lines : errors;
  std::string words;
  for (size_t i = 0; i < std::min(chosen.size(), most_lines); ++i) words += (i == 0 ? "" : "; ") + chosen[i];
  return words.empty() ? "it says nothing" : words.substr(0, most_characters);
}

}  // namespace spinconv::gpu
