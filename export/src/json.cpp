// SPDX-License-Identifier: MIT
#include "json.h"

#include "spinconv/model.h"

#include <algorithm>

namespace spinconv {

const Json& Json::of_type(Type type, const char* wanted) const {
  if (type_ != type) throw Error(std::string("must be ") + wanted);
  return *this;
}

bool Json::boolean() const { return of_type(Type::boolean, "true or false").boolean_; }
double Json::number() const { return of_type(Type::number, "a number").number_; }
const std::string& Json::text() const { return of_type(Type::text, "text").text_; }
const std::vector<Json>& Json::list() const { return of_type(Type::list, "a list").items_; }
const std::vector<std::string>& Json::names() const { return of_type(Type::object, "a section of keys and values").names_; }
const std::vector<Json>& Json::values() const { return of_type(Type::object, "a section of keys and values").items_; }

int64_t Json::integer() const {
  if (!integer_) throw Error("must be a whole number");
  return *integer_;
}

const Json* Json::find(std::string_view name) const {
  const auto& found = names();
  const auto place = std::find(found.begin(), found.end(), name);
  return place == found.end() ? nullptr : &items_[place - found.begin()];
}

const Json& Json::at(std::string_view path) const {
  const auto dot = path.find('.');
  const Json* member = find(path.substr(0, dot));
  if (member == nullptr) throw Error("is missing");
  return dot == std::string_view::npos ? *member : member->at(path.substr(dot + 1));
}

}  // namespace spinconv
