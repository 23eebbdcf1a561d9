// SPDX-License-Identifier: MIT
#include "sealed.h"

#include "sha256.h"

#include "spinconv/model.h"

#include <algorithm>

namespace spinconv {
namespace {

constexpr int64_t sealed_format = 2;
constexpr size_t most_note = 1000, n_digits = 64, longest_seal = 1100;
constexpr std::string_view mark = "sha256:";
constexpr std::string_view end_of_archive("PK\5\6", 4);
constexpr size_t end_size = 22;   // of the last record of a zip archive, the comment's length its last two bytes

struct Seal {
  std::string format;   // digits
  std::string_view note;
  std::string_view digits;
};

bool is_printable(char c) { return c >= ' ' && c <= '~'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hexadecimal(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

bool take(std::string_view& text, std::string_view head) {
  if (text.substr(0, head.size()) != head) return false;
  text.remove_prefix(head.size());
  return true;
}

/// Reads the last line of a file, without its end, as a seal; false if it is none.
bool read(std::string_view line, Seal& seal) {
  if (line.size() < mark.size() + n_digits) return false;
  seal.digits = line.substr(line.size() - n_digits);
  line.remove_suffix(n_digits);
  if (line.substr(line.size() - mark.size()) != mark || !std::all_of(seal.digits.begin(), seal.digits.end(), is_hexadecimal)) return false;
  line.remove_suffix(mark.size());
  if (!take(line, "spinconv ")) return false;
  const size_t n = std::find_if_not(line.begin(), line.end(), is_digit) - line.begin();
  if (n < 1 || n > 9) return false;
  seal.format = line.substr(0, n);
  line.remove_prefix(n);
  if (!take(line, " ")) return false;
  if (line.empty()) return true;
  if (line.back() != ' ' || line.front() == ' ' || line.size() > most_note + 1) return false;
  seal.note = line.substr(0, line.size() - 1);
  return true;
}

/// The printable characters before the line's end at the end of a file.
std::string_view last_line(std::string_view bytes) {
  if (bytes.empty() || bytes.back() != '\n') return {};
  bytes.remove_suffix(1);
  size_t size = 0;
  while (size < std::min(bytes.size(), longest_seal) && is_printable(bytes[bytes.size() - 1 - size])) ++size;
  return bytes.substr(bytes.size() - size);
}

std::string why_unsealed(std::string_view bytes) {
  if (bytes.substr(0, 4) != "PK\3\4") return "must be a model file written by `spinconv export`, is of another kind";
  if (is_whole_archive(bytes)) {
    return "has no seal of spinconv: it was written by another program or an older spinconv, or saved again by torch";
  }
  return "is damaged: it is cut short, or its end is changed; take another copy of it";
}

}  // namespace

std::string_view open_sealed(std::string_view bytes, const std::string& name) {
  Seal seal;
  if (!read(last_line(bytes), seal)) throw Error(name + " " + why_unsealed(bytes));
  if (sha256(bytes.substr(0, seal.digits.data() - bytes.data())) != seal.digits) {
    throw Error(name + " is damaged: its bytes do not have the hash that is written in it; take another copy of it");
  }
  if (const auto format = std::stol(seal.format); format != sealed_format) {
    throw Error(name + " was written for format " + std::to_string(format) + ", this spinconv reads format " + std::to_string(sealed_format) +
                "; use another spinconv");
  }
  return seal.note;
}

bool is_whole_archive(std::string_view bytes) {
  const auto tail = bytes.substr(bytes.size() - std::min(bytes.size(), end_size + 0xffff));
  const auto end = tail.rfind(end_of_archive);
  if (end == std::string_view::npos || end + end_size > tail.size()) return false;
  const auto comment = tail.substr(end + end_size);
  const bool was_seal = comment.find("spinconv ") != std::string_view::npos || comment.find(mark) != std::string_view::npos;
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(tail[end + i])); };
  return !was_seal && comment.size() == byte(end_size - 2) + 256 * byte(end_size - 1);
}

}  // namespace spinconv
