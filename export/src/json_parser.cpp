// SPDX-License-Identifier: MIT
#include "json.h"

#include "spinconv/model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>

namespace spinconv {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A code point as UTF-8.
void append(std::string& text, uint32_t code) {
  const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  const auto put_rest = [&](int n) {
    for (int shift = 6 * (n - 1); shift >= 0; shift -= 6) put(0x80 | (code >> shift & 0x3f));
  };
  if (code < 0x80) return put(code);
  if (code < 0x800) return put(0xc0 | code >> 6), put_rest(1);
  if (code < 0x10000) return put(0xe0 | code >> 12), put_rest(2);
  put(0xf0 | code >> 18), put_rest(3);
}

/// The nearest double of a number of JSON; nothing where it is beyond the range of doubles.
std::optional<double> to_double(std::string_view text) {
#ifdef __cpp_lib_to_chars
  double value = 0.0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), value);
  if (done.ec != std::errc() || done.ptr != text.data() + text.size()) return std::nullopt;
  return value;
#else
  std::istringstream stream{std::string(text)};   // the C functions listen to the locale that an engine or Python has set
  stream.imbue(std::locale::classic());
  double value = 0.0;
  stream >> value;
  return stream.fail() || !std::isfinite(value) ? std::nullopt : std::optional<double>(value);
#endif
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Json whole() {
    if (text_.size() > most_json) throw Error("must be JSON of at most " + std::to_string(most_json) + " bytes");
    Json value = any();
    skip_blanks();
    if (at_ < text_.size()) fail("nothing more");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& wanted) const {
    throw Error("must be strict JSON: at byte " + std::to_string(at_) + " there must be " + wanted);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blanks() {
    while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++at_;
  }

  bool take(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail(std::string("`") + wanted + "`");
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json any() {
    if (take('{')) return object();
    if (take('[')) return list();
    if (take('"')) return text();
    if (take_word("null")) return {};
    if (take_word("true")) return boolean(true);
    if (take_word("false")) return boolean(false);
    return number();
  }

  static Json boolean(bool is_true) {
    Json value;
    value.type_ = Json::Type::boolean;
    value.boolean_ = is_true;
    return value;
  }

  Json text() {
    Json value;
    value.type_ = Json::Type::text;
    value.text_ = rest_of_text();
    return value;
  }

  Json object() {
    Json value;
    value.type_ = Json::Type::object;
    descend();
    if (!take('}')) {
      do {
        expect('"');
        value.names_.push_back(rest_of_text());
        expect(':');
        value.items_.push_back(any());
      } while (take(','));
      expect('}');
      refuse_twice(value.names_);
    }
    --depth_;
    return value;
  }

  Json list() {
    Json value;
    value.type_ = Json::Type::list;
    descend();
    if (!take(']')) {
      do value.items_.push_back(any());
      while (take(','));
      expect(']');
    }
    --depth_;
    return value;
  }

  void descend() {
    if (++depth_ > deepest_json) fail("no more than " + std::to_string(deepest_json) + " lists and objects within each other");
  }

  void refuse_twice(std::vector<std::string> names) const {
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) fail("no key that was said before: `" + *twice + "`");
  }

  void take_digits() {
    if (!is_digit(peek())) fail("a digit");
    while (is_digit(peek())) ++at_;
  }

  Json number() {
    const size_t begin = at_;
    if (peek() == '-') ++at_;
    if (!is_digit(peek())) fail("a value");
    if (peek() == '0') ++at_;   // nothing but a fraction may follow a zero
    else take_digits();
    const size_t whole = at_;
    if (peek() == '.') ++at_, take_digits();
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      take_digits();
    }
    return number_of(text_.substr(begin, at_ - begin), at_ == whole);
  }

  Json number_of(std::string_view digits, bool is_whole) const {
    Json value;
    value.type_ = Json::Type::number;
    const auto found = to_double(digits);
    if (!found) fail("a number of double precision before it");
    value.number_ = *found;
    int64_t integer = 0;
    if (is_whole && std::from_chars(digits.data(), digits.data() + digits.size(), integer).ec == std::errc()) value.integer_ = integer;
    return value;
  }

  std::string rest_of_text() {
    std::string text;
    for (;; ++at_) {
      if (at_ >= text_.size()) fail("the end of a text");
      const char c = text_[at_];
      if (static_cast<unsigned char>(c) < 0x20) fail("no control character");
      if (c == '"') return ++at_, text;
      if (c == '\\') append_escape(text);
      else text += c;
    }
  }

  /// Ends on the last byte of the escape.
  void append_escape(std::string& text) {
    constexpr std::string_view letters = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    ++at_;
    if (peek() == 'u') return append(text, code_point());
    const auto letter = at_ < text_.size() ? letters.find(peek()) : std::string_view::npos;
    if (letter == std::string_view::npos) fail("one of \"\\/bfnrtu");
    text += meant[letter];
  }

  uint32_t code_point() {
    const uint32_t high = four_digits();
    if (high < 0xd800 || high > 0xdfff) return high;
    at_ += 1;
    if (high > 0xdbff || !take_word("\\u")) fail("the other half of a character");
    at_ -= 1;
    const uint32_t low = four_digits();
    if (low < 0xdc00 || low > 0xdfff) fail("the other half of a character");
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  /// The hexadecimal number after the `u` at this place; ends on its last digit.
  uint32_t four_digits() {
    uint32_t code = 0;
    const auto digits = text_.substr(std::min(at_ + 1, text_.size()), 4);
    const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() < 4 || done.ec != std::errc() || done.ptr != digits.data() + 4) fail("four hexadecimal digits");
    at_ += 4;
    return code;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

Json parse_json(std::string_view text) { return JsonParser(text).whole(); }

}  // namespace spinconv
