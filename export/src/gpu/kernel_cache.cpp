// SPDX-License-Identifier: MIT
#include "kernel_cache.h"

#include "../sha256.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace spinconv::gpu {
namespace {

namespace files = std::filesystem;

constexpr size_t most_files = 100;

/// "" where a user has none.
files::path folder() {
  const auto said = [](const char* variable) {
    const char* text = std::getenv(variable);
    return files::path(text == nullptr ? "" : text);
  };
  if (const auto cache = said("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "spinconv" / "kernels";
  const auto home = said("HOME");
  return home.is_absolute() ? home / ".cache" / "spinconv" / "kernels" : files::path();
}

/// Before the bytes of a kernel in its file; only what is whole begins so.
std::string head(const std::string& binary) { return "spinconv kernel 1 " + std::to_string(binary.size()) + " " + sha256(binary) + "\n"; }

std::string read_whole(const files::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return file ? bytes.str() : "";
}

bool write_whole(const files::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  return !file.fail();
}

/// One that no other process, and no other thread, writes at the same time.
files::path temporary(const files::path& path) {
  static std::atomic<int> n{0};
  return path.string() + "." + std::to_string(getpid()) + "." + std::to_string(n++);
}

void delete_oldest(const files::path& folder) {
  std::error_code error, ignored;
  std::vector<std::pair<files::file_time_type, files::path>> found;
  for (files::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file(ignored)) found.emplace_back(entry->last_write_time(ignored), entry->path());
  }
  std::sort(found.begin(), found.end());
  for (size_t i = 0; i + most_files < found.size(); ++i) files::remove(found[i].second, ignored);
}

}  // namespace

std::string kernel_name(const std::vector<std::string>& decisive) {
  std::string all;
  for (const auto& text : decisive) all += std::to_string(text.size()) + "\n" + text;
  return sha256(all);
}

std::string kept_kernel(const std::string& name) {
  const auto place = folder();
  if (place.empty()) return "";
  const auto bytes = read_whole(place / name);
  const auto line = bytes.find('\n');
  if (line == std::string::npos) return "";
  auto binary = bytes.substr(line + 1);
  if (bytes.compare(0, line + 1, head(binary)) != 0) return "";
  std::error_code ignored;
  files::last_write_time(place / name, files::file_time_type::clock::now(), ignored);   // it is used: others are older
  return binary;
}

void keep_kernel(const std::string& name, const std::string& binary) {
  const auto place = folder();
  std::error_code error, ignored;
  if (place.empty() || binary.empty()) return;
  files::create_directories(place, error);
  if (error) return;
  const auto whole = place / name, part = temporary(whole);
  if (write_whole(part, head(binary) + binary)) files::rename(part, whole, error);
  files::remove(part, ignored);   // what could not be written, or not be renamed
  delete_oldest(place);
}

}  // namespace spinconv::gpu
