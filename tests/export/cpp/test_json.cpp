// Laws of the JSON reader: what is JSON is read exactly, what is none is refused with its place, and no text does worse than that.
// SPDX-License-Identifier: MIT
#include "json.h"
#include "laws.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::check_refused;
using spinconv::Json;
using spinconv::parse_json;

void test_values() {
  check(parse_json(" null ").is_null() && parse_json("true").boolean() && !parse_json("false").boolean(), "null, true and false");
  const auto said = parse_json(R"({"a": {"b": [1, "two", 3.5e2, {}], "c": -0.0}, "": []})");
  check(said.at("a.b").list().size() == 4 && said.at("a.b").list()[2].number() == 350.0, "lists in objects in objects");
  check(std::signbit(said.at("a.c").number()), "minus zero is one");
  check(said.names() == std::vector<std::string>({"a", ""}) && said.find("")->list().empty() && said.find("c") == nullptr, "members in their order");
}

void test_numbers() {
  check(parse_json("9223372036854775807").integer() == INT64_MAX && parse_json("-9223372036854775808").integer() == INT64_MIN, "64 bits are exact");
  check(parse_json("9007199254740993").integer() == 9007199254740993, "an integer that no double is");
  check(parse_json("9223372036854775808").number() == 0x1p63, "larger ones are numbers");
  check_refused("must be a whole number", [] { parse_json("9223372036854775808").integer(); });
  check_refused("must be a whole number", [] { parse_json("1.0").integer(); });
  check(parse_json("0.1").number() == 0.1 && parse_json("-13.6057E+2").number() == -1360.57, "decimal fractions to the last bit");
  check(parse_json("5e-324").number() == 5e-324 && parse_json("1.7976931348623157e308").number() == 1.7976931348623157e308, "the least and the largest");
  for (const char* text : {"1e999", "-1e999"}) check_refused("a number of double precision", [&] { parse_json(text); });
  for (const char* text : {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "1_0"}) {
    check_refused("must be strict JSON: at byte ", [&] { parse_json(text); });
  }
}

void test_texts() {
  check(parse_json(R"("\"\\\/\b\f\n\r\t\u0041\u00e5\u20ac\ud83d\ude00")").text() == "\"\\/\b\f\n\r\tA\xc3\xa5\xe2\x82\xac\xf0\x9f\x98\x80", "escapes");
  check(parse_json("\"\xc3\xa5\xff\"").text() == "\xc3\xa5\xff", "bytes beyond ASCII as they are");
  check(parse_json(R"("\u0000")").text() == std::string(1, '\0'), "a zero in a text");
  for (const char* text : {"\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u-123\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "\"\\"}) {
    check_refused("must be strict JSON: at byte ", [&] { parse_json(text); });
  }
}

void test_refusals() {
  for (const char* text : {"", " ", "[", "{", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "[1}", "nul", "'a'", "1 2", "[] []",
                           "// none\n1", "\xef\xbb\xbf" "1"}) {
    check_refused("must be strict JSON: at byte ", [&] { parse_json(text); });
  }
  check_refused("must be strict JSON: at byte 8 there must be `]`", [] { parse_json("[1, 2, 3"); });
  check_refused("at byte 16 there must be no key that was said before: `a`", [] { parse_json(R"({"a": 1, "a": 2})"); });
  check_refused("no more than 64 lists and objects within each other", [] { parse_json(std::string(100000, '[')); });
  check_refused("no more than 64 lists and objects within each other", [] { parse_json(std::string(65, '[') + std::string(65, ']')); });
  parse_json(std::string(64, '[') + std::string(64, ']'));
  check_refused("must be JSON of at most 1048576 bytes", [] { parse_json(std::string(1048577, ' ')); });
}

void test_other_types() {
  const auto said = parse_json(R"({"a": {"b": 1}, "t": "x"})");
  check_refused("must be true or false", [&] { said.at("a.b").boolean(); });
  check_refused("must be a number", [&] { said.at("t").number(); });
  check_refused("must be text", [&] { said.at("a").text(); });
  check_refused("must be a list", [&] { said.at("a").list(); });
  check_refused("must be a section of keys and values", [&] { said.at("t").names(); });
  check_refused("must be a section of keys and values", [&] { said.at("t.b"); });
  check_refused("is missing", [&] { said.at("a.c"); });
}

/// Texts that are JSON but for some bytes: each is read or refused. The sanitizers of a compiler see the rest.
void test_changed_texts() {
  const std::string text = R"({"kind": "har\u006donic", "model": {"elements": [1, 6, 8], "cutoff": 5.0e0, "deep": [[[{"a": [null, true]}]]]}, "s": "\ud83d\ude00"})";
  const std::string likely = "{}[]\",:\\0123456789eE+-.utfn \x01\xff";
  std::mt19937 random(0);
  int n_read = 0, n_refused = 0;
  for (int n = 0; n < 200000; ++n) {
    auto changed = text;
    for (unsigned k = 1 + random() % 4; k > 0 && !changed.empty(); --k) {
      const size_t place = random() % changed.size();
      const char byte = likely[random() % likely.size()];
      switch (random() % 4) {
        case 0: changed[place] = byte; break;
        case 1: changed.insert(place, 1, byte); break;
        case 2: changed.erase(place, 1 + random() % 8); break;
        default: changed.resize(place);
      }
    }
    laws::refusal([&] { parse_json(changed); }).empty() ? ++n_read : ++n_refused;
  }
  check(n_read > 1000 && n_refused > 100000, std::to_string(n_read) + " changed texts are read, " + std::to_string(n_refused) + " refused");
}

}  // namespace

int main() {
  test_values();
  test_numbers();
  test_texts();
  test_refusals();
  test_other_types();
  test_changed_texts();
  return laws::n_failed == 0 ? 0 : 1;
}
