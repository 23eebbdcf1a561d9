// Laws of devices that kernels run on: the first of OpenCL or of CUDA, as argument 1 says. Where there is none, there is only a refusal to test.
// SPDX-License-Identifier: MIT
#include "spinconv/device.h"

#include "evaluator.h"
#include "laws.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::check_refused;
using namespace spinconv::gpu;
namespace files = std::filesystem;

// fake_cuda.cpp computes the same where there is no GPU.
const std::string kernels = R"(
KERNEL(64) add(GLOBAL const real* RESTRICT a, GLOBAL real* RESTRICT b, real c, int n) {
  const int i = OWN_GROUP * 64 + THREAD;
  if (i < n) b[i] = a[i] + c;
}
KERNEL(64) sum(GLOBAL const real* RESTRICT a, GLOBAL real* RESTRICT sums) {
  SHARED real part[64];
  part[THREAD] = a[OWN_GROUP * 64 + THREAD];
  for (int width = 32; width > 0; width /= 2) {
    SYNCHRONIZE;
    if (THREAD < width) part[THREAD] += part[THREAD + width];
  }
  if (THREAD == 0) sums[OWN_GROUP] = part[0];
}
KERNEL(1) tell(GLOBAL int64_t* told, GLOBAL const int* none, int32_t a, int64_t b, real c) {
  told[0] = none == 0;
  told[1] = a;
  told[2] = b;
  told[3] = (int64_t)(c * 1000);
}
)";
const std::string real_is_double = "#define REAL_IS_DOUBLE\n";

template <class Number>
std::vector<Number> counted(size_t n) {
  std::vector<Number> numbers(n);
  std::iota(numbers.begin(), numbers.end(), Number(1));
  return numbers;
}

template <class Number>
std::unique_ptr<Memory> on_device(Device& device, const std::vector<Number>& numbers) {
  const auto bytes = static_cast<int64_t>(numbers.size() * sizeof(Number));
  auto memory = device.allocate(bytes);
  device.write(*memory, 0, numbers.data(), bytes);
  return memory;
}

template <class Number>
std::vector<Number> on_host(Device& device, const Memory& memory) {
  std::vector<Number> numbers(static_cast<size_t>(memory.bytes) / sizeof(Number));
  device.read(memory, 0, numbers.data(), memory.bytes);
  return numbers;
}

std::vector<Found> devices_of(const std::string& name) { return name == "cuda" ? cuda_devices() : opencl_devices(); }

void test_facts(Device& device, const std::string& name) {
  check(device.name() == name + ":0" && !device.description().empty(), "it is " + device.name() + ", " + device.description());
  check(device.free_memory() > 0 && device.largest_memory() > 0 && device.shared_memory() >= 16384 && device.most_threads() >= 64, "and has memory and threads");
}

template <class Number>
void test_kernels(Device& device, const std::string& head) {
  const auto program = device.compile(head + kernels);
  const int32_t n = 1000;
  const auto a = on_device(device, counted<Number>(n)), b = on_device(device, std::vector<Number>(n, 7));
  device.launch(program->kernel("add"), 16, 64, {a, b, Number(0.5), n});
  const auto sum = on_host<Number>(device, *b);
  check(sum[0] == Number(1.5) && sum[999] == Number(1000.5), "numbers of " + std::to_string(sizeof(Number)) + " bytes are added to");

  const auto many = on_device(device, counted<Number>(64 * 3)), sums = on_device(device, std::vector<Number>(3));
  device.launch(program->kernel("sum"), 3, 64, {many, sums});
  check(on_host<Number>(device, *sums) == std::vector<Number>({2080, 6176, 10272}), "the threads of a group share memory");

  const auto told = on_device(device, std::vector<int64_t>(4, -1));
  const Memory* none = nullptr;
  device.launch(program->kernel("tell"), 1, 1, {told, none, int32_t{-5}, int64_t{1} << 40, Number(2.5)});
  check(on_host<int64_t>(device, *told) == std::vector<int64_t>({1, -5, int64_t{1} << 40, 2500}), "arguments of all kinds arrive, none among them");
  check_refused("cannot find the kernel other", [&] { program->kernel("other"); });
}

void test_memory(Device& device) {
  const auto memory = on_device(device, counted<int32_t>(8));
  const int32_t two[] = {20, 30};
  device.write(*memory, 4, two, 8);
  device.clear(*memory, 20, 8);
  check(on_host<int32_t>(device, *memory) == std::vector<int32_t>({1, 20, 30, 4, 5, 0, 0, 8}), "parts are written and cleared");
  int32_t last = 0;
  device.read(*memory, 28, &last, 4);
  check(last == 8, "and read");
  const auto here = device.allocate_host(32);
  device.read(*memory, 0, here->data, 32);
  auto* numbers = static_cast<int32_t*>(here->data);
  check(numbers[1] == 20 && numbers[7] == 8, "to memory of the host that is made for it");
  numbers[0] = 7;
  device.write(*memory, 28, here->data, 4);
  device.read(*memory, 28, &last, 4);
  check(last == 7 && device.allocate_host(0) != nullptr, "and from there");
  const auto empty = device.allocate(0);
  device.clear(*empty, 0, 0);
  device.write(*empty, 0, nullptr, 0);
  check(empty->bytes == 0 && on_host<int32_t>(device, *empty).empty(), "there is memory of no bytes");
  std::string words;
  try {
    device.allocate(int64_t{1} << 45);
  } catch (const spinconv::OutOfMemory& error) {
    words = error.what();
  }
  check(words.rfind("not enough memory, 35184373 MB were asked for on " + device.name(), 0) == 0, "more than there is: " + words);
}

void test_groups(Device& device) {
  const auto program = device.compile(kernels);
  const int32_t n = 64 * 100000;   // more groups than 65,535
  const auto a = on_device(device, std::vector<float>(n, 1.0f)), b = on_device(device, std::vector<float>(n));
  device.launch(program->kernel("add"), 0, 64, {a, b, 9.0f, n});
  device.launch(program->kernel("add"), 100000, 64, {a, b, 1.0f, n});
  device.launch(program->kernel("add"), 1, 64, {b, a, 1.0f, int32_t{1}});
  device.finish();
  check(on_host<float>(device, *b) == std::vector<float>(n, 2.0f) && on_host<float>(device, *a)[0] == 3.0f, "no groups or many, in the order of launches");
}

void test_refused_text(Device& device) {
  check_refused("kernels", [&] { device.compile(kernels + "this does not compile\n"); });
  const auto line = laws::refusal([&] { device.compile(real_is_double + "\nthis does not compile\n"); });
  check(line.find("kernels:3") != std::string::npos || line.find("kernels(3)") != std::string::npos, "with the line that does not compile");
}

// ---- the cache, in a folder that is the test's own ----

files::path cache() { return files::path(std::getenv("XDG_CACHE_HOME")) / "spinconv" / "kernels"; }

std::vector<files::path> cached() {
  std::vector<files::path> found;
  if (files::exists(cache()))
    for (const auto& entry : files::directory_iterator(cache())) found.push_back(entry.path());
  return found;
}

ino_t identity(const files::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

bool adds(Device& device, const std::string& text) {
  const auto program = device.compile(text);
  const auto a = on_device(device, std::vector<float>(64, 1.0f)), b = on_device(device, std::vector<float>(64));
  device.launch(program->kernel("add"), 1, 64, {a, b, 2.0f, int32_t{64}});
  return on_host<float>(device, *b) == std::vector<float>(64, 3.0f);
}

void test_cache(const std::string& name) {
  files::remove_all(cache());
  check(adds(*open_device(name), kernels) && cached().size() == 1, "what is compiled is kept in a file");
  const auto file = cached().at(0);
  const auto first = identity(file);
  files::create_hard_link(file, cache().parent_path() / "link");   // so that a new file has another identity
  const auto long_ago = files::file_time_type::clock::now() - std::chrono::hours(100);
  files::last_write_time(file, long_ago);
  check(adds(*open_device(name), kernels) && identity(file) == first && files::last_write_time(file) > long_ago, "and taken from there, which makes it young");
  check(adds(*open_device(name), kernels + "\n") && cached().size() == 2, "another text is another file");

  const auto size = files::file_size(file);
  files::remove(cache().parent_path() / "link");
  files::copy_file(file, cache().parent_path() / "whole");
  for (const auto damage : {0, 1, 2}) {
    if (damage == 0) files::resize_file(file, size - 1);
    if (damage == 1) files::resize_file(file, 0);
    if (damage == 2) std::fstream(file, std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(size / 2)).put('\x55').put('\xaa');
    check(adds(*open_device(name), kernels) && files::file_size(file) == size, "a damaged one is compiled anew, and replaced");
  }
}

/// A whole file with what no driver takes.
void test_other_bytes(const std::string& name) {
  for (const auto& file : cached()) {
    std::ofstream(file, std::ios::binary) << "spinconv kernel 1 4 88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589\nabcd";
  }
  check(adds(*open_device(name), kernels), "what the driver does not take is compiled anew");
}

void test_full_cache(const std::string& name) {
  const auto old = files::file_time_type::clock::now() - std::chrono::hours(1);
  for (int n = 0; n < 150; ++n) {
    const auto file = cache() / ("other" + std::to_string(n));
    std::ofstream(file) << "x";
    files::last_write_time(file, old + std::chrono::seconds(n));
  }
  const bool fine = adds(*open_device(name), kernels + "\n\n");
  check(fine && cached().size() == 100 && files::exists(cache() / "other149") && !files::exists(cache() / "other9"), "a full cache loses what is oldest");
}

void test_no_cache(const std::string& name) {
  const std::string folder = std::getenv("XDG_CACHE_HOME");
  std::ofstream(folder + "/file") << "x";
  setenv("XDG_CACHE_HOME", (folder + "/file/below").c_str(), 1);
  check(adds(*open_device(name), kernels), "a folder that cannot be is no error");
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);
}

void test_names(const std::string& name) {
  for (const char* wrong : {"", "cuda:x", "cuda:", "opencl:-1", "opencl:1000", "gpu"}) {
    check_refused(std::string("`device` must be cuda, cuda:<index>, opencl or opencl:<index>, got ") + wrong + ";", [&] { open_device(wrong); });
  }
  check_refused("here are", [&] { open_device("gpu"); });
  check_refused("`device` is " + name + ":99, but here are only " + name + ":0 (", [&] { open_device(name + ":99"); });
  const auto found = devices_of(name);
  check(found[0].name == name + ":0" && open_device(name + ":0")->description() == found[0].description, "devices are found by the names that they have");
  check(open_device(name, 0)->name() == name + ":0" && open_device(name, 1000)->name().rfind(name + ":", 0) == 0, "processes share them");
}

void test_device(const std::string& name) {
  const auto device = open_device(name);
  test_facts(*device, name);
  test_kernels<float>(*device, "");
  if (device->has_double()) test_kernels<double>(*device, real_is_double);
  test_memory(*device);
  test_groups(*device);
  test_refused_text(*device);
  test_cache(name);
  test_other_bytes(name);
  test_full_cache(name);
  test_no_cache(name);
  test_names(name);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "opencl";
  if (devices_of(name).empty()) {
    check_refused("`device` is " + name + ", but " + (name == "cuda" ? "NVIDIA's driver " : "OpenCL"), [&] { open_device(name); });
    std::printf("skipped: there is no device of %s\n", name.c_str());
    return laws::n_failed == 0 ? 0 : 1;
  }
  auto folder = (files::temp_directory_path() / "spinconv_kernels_XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  try {
    test_device(name);
  } catch (const std::exception& error) {
    check(false, error.what());
  }
  files::remove_all(folder);
  return laws::n_failed == 0 ? 0 : 1;
}
