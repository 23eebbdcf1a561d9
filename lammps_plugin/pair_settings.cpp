// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_settings.h"

#include <filesystem>
#include <functional>
#include <map>
#include <regex>
#include <sstream>

namespace spinconv {
namespace {

constexpr const char *usage = "`model.pt [more models] [keyword value ...]`";

[[noreturn]] void refuse(const std::string &keyword, const std::string &must, const std::string &got)
{
  throw Error("`" + keyword + "` must be " + must + ", got " + got);
}

template <class Number> Number parse_number(const std::string &keyword, const std::string &word, Number least, const std::string &must)
{
  std::istringstream text(word);
  Number number;
  if (!(text >> number) || !text.eof() || !(number >= least)) refuse(keyword, must, word);
  return number;
}

bool parse_yes_or_no(const std::string &keyword, const std::string &word)
{
  if (word != "yes" && word != "no") refuse(keyword, "yes or no", word);
  return word == "yes";
}

using Read = std::function<void(PairSettings &, const std::string &keyword, const std::string &word)>;

const std::map<std::string, Read> &readers()
{
  static const std::map<std::string, Read> by_keyword = {
      {"device",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         if (!std::regex_match(word, std::regex("auto|cpu|(cuda|opencl)(:[0-9]{1,3})?")))
           refuse(keyword, "auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>", word);
         s.options.device = word;
       }},
      {"precision",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         if (word != "float32" && word != "float64") refuse(keyword, "float32 or float64", word);
         s.options.dtype = word;
       }},
      {"evaluator",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         if (word != "native" && word != "torch") refuse(keyword, "native or torch", word);
         s.options.evaluator = word;
       }},
      {"threads",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.options.threads = parse_number<int>(keyword, word, 1, "a number of threads, 1 or more");
       }},
      {"chunk",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.chunk = parse_number<int64_t>(keyword, word, 0, "a number of edges, 0 for all at once");
       }},
      {"nonconservative",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.options.allow_nonconservative = parse_yes_or_no(keyword, word);
       }},
      {"direct_forces",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.options.allow_direct_forces = parse_yes_or_no(keyword, word);
       }},
      {"out_freq",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.out_freq = parse_number<int64_t>(keyword, word, 0, "a number of steps, 0 for no file");
       }},
      {"out_file", [](PairSettings &s, const std::string &, const std::string &word) { s.out_file = word; }},
      {"halt",
       [](PairSettings &s, const std::string &keyword, const std::string &word) {
         s.halt = parse_number<double>(keyword, word, 0.0, "a force deviation, 0 for never");
       }},
  };
  return by_keyword;
}

// A word that is no keyword is a model where it looks like a file or is one, and a mistyped keyword otherwise.
bool is_model(const std::string &word)
{
  std::error_code none;
  return readers().count(word) == 0 && (word.find_first_of("./") != std::string::npos || std::filesystem::is_regular_file(word, none));
}

bool is_for_committees(const std::string &keyword)
{
  return keyword == "out_freq" || keyword == "out_file" || keyword == "halt";
}

std::string known_keywords()
{
  std::string list;
  for (const auto &reader : readers()) list += (list.empty() ? "" : " ") + reader.first;
  return list;
}

void check_out_file(const PairSettings &settings)
{
  if (settings.out_file.empty()) refuse("out_file", "a path", "nothing");
  for (const auto &file : settings.files) {
    std::error_code none;    // where one does not exist they are not the same
    if (settings.out_file == file || std::filesystem::equivalent(settings.out_file, file, none))
      throw Error("`out_file` must not be one of the models, got " + settings.out_file);
  }
}

}    // namespace

PairSettings parse_settings(const std::vector<std::string> &words)
{
  PairSettings settings;
  settings.options.device = "auto";
  size_t n = 0;
  while (n < words.size() && (n == 0 ? readers().count(words[0]) == 0 : is_model(words[n])))
    settings.files.push_back(words[n++]);
  if (settings.files.empty()) throw Error(std::string("wants ") + usage + ", got " + (words.empty() ? "nothing" : "no model before " + words[0]));
  for (; n < words.size(); n += 2) {
    const auto &keyword = words[n];
    const auto reader = readers().find(keyword);
    if (reader == readers().end()) throw Error("knows the keywords " + known_keywords() + ", got " + keyword + ", which is no file either");
    if (n + 1 == words.size()) throw Error("keyword `" + keyword + "` wants a value");
    if (is_for_committees(keyword) && !settings.is_committee()) throw Error("`" + keyword + "` is for several models, got one");
    reader->second(settings, keyword, words[n + 1]);
  }
  if (settings.is_committee()) check_out_file(settings);
  return settings;
}

}    // namespace spinconv
