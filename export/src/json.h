// JSON (RFC 8259) from a text of bounded size and depth. A file of somebody else's may say anything: errors name the place.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spinconv {

/// A value. Whoever asks for another type than it has, or for a member that it has not, gets an Error without the name, such as
/// "must be a number", to put one before.
class Json {
 public:
  enum class Type { null, boolean, number, text, list, object };

  Type type() const { return type_; }
  bool is_null() const { return type_ == Type::null; }
  bool boolean() const;
  double number() const;
  int64_t integer() const;   // written without fraction and exponent, and exact
  const std::string& text() const;
  const std::vector<Json>& list() const;
  /// Names and values of the members of an object, in the order of the text.
  const std::vector<std::string>& names() const;
  const std::vector<Json>& values() const;

  /// A member of an object; null where there is none.
  const Json* find(std::string_view name) const;
  /// A member of an object, or of an object in it: "model.cutoff". Error: "is missing".
  const Json& at(std::string_view path) const;

 private:
  friend class JsonParser;
  const Json& of_type(Type type, const char* wanted) const;

  Type type_ = Type::null;
  bool boolean_ = false;
  double number_ = 0.0;
  std::optional<int64_t> integer_;
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Json> items_;   // of a list, or the members' values
};

constexpr size_t most_json = size_t{1} << 20;   // bytes
constexpr int deepest_json = 64;                // lists and objects within each other

/// The value of a whole text; Error tells what is wrong and at which byte. Keys are said once, numbers are finite. Bytes beyond ASCII
/// are taken as they are.
Json parse_json(std::string_view text);

}  // namespace spinconv
