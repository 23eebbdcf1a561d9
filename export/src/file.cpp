// The bytes of a file, which may be none, or endless.
// SPDX-License-Identifier: MIT
#include "spinconv/model.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace spinconv {
namespace {

constexpr size_t most_bytes = size_t{1} << 30;   // of a model file

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) {
    if (descriptor_ < 0) throw Error("cannot open model file " + path + ": " + std::strerror(errno));
  }
  ~OpenFile() { close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// What is wrong with a file before any byte of it is read; nothing: "".
std::string why_not_read(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "must be a model file, is a folder";
  if (!S_ISREG(status.st_mode)) return "must be a model file, is a pipe or a device";
  if (status.st_size == 0) return "must be a model file, is empty";
  if (static_cast<uint64_t>(status.st_size) <= most_bytes) return "";
  const auto megabytes = [](uint64_t bytes) { return std::to_string(bytes / 1000000) + " MB"; };
  return "must be a model file of at most " + megabytes(most_bytes) + ", has " + megabytes(status.st_size);
}

}  // namespace

std::string read_file(const std::string& path) {
  const OpenFile file(path);
  struct stat status;
  if (fstat(file.descriptor(), &status) != 0) throw Error("cannot read model file " + path + ": " + std::strerror(errno));
  if (const auto problem = why_not_read(status); !problem.empty()) throw Error(path + " " + problem);
  std::string bytes(static_cast<size_t>(status.st_size) + 1, '\0');   // one more: it must not be there
  size_t size = 0;
  while (size < bytes.size()) {
    const auto n = read(file.descriptor(), &bytes[size], bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error("cannot read model file " + path + ": " + std::strerror(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size + 1 != bytes.size()) throw Error(path + " was changed while it was read; try again when it is complete");
  bytes.resize(size);
  return bytes;
}

}  // namespace spinconv
