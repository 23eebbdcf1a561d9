// Compiles kernels, without running them, and takes warnings for errors:
//
//   gpu_compile [--nvrtc <libnvrtc.so>] [--registers] [--text-to <file>] <file of kernels> <folder> <target> ...
//   gpu_compile --model <model.pt> [--dtype float32] [--shared <bytes>] ...
//
// The second form has the kernels of a model, as the evaluator compiles them for a device with so much memory for a work group. Targets are sm_<number> (machine code, to <folder>/<target>.cubin) and compute_<number> (to <folder>/<target>.ptx), which need NVIDIA's NVRTC but no GPU,
// and opencl:<index>, which writes no file. The file is without the prelude; --registers prints what each kernel takes, --text-to writes what is compiled.
// SPDX-License-Identifier: MIT
#include "container.h"
#include "gpu/compilation.h"
#include "gpu/evaluator.h"
#include "gpu/network.h"
#include "gpu/nvrtc.h"
#include "gpu/opencl_device.h"

#include "spinconv/model.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace spinconv;
using namespace spinconv::gpu;

constexpr int newest_cuda = 13;

struct Command {
  std::string nvrtc, model, dtype = "float32", text_to, source, folder;
  int64_t shared_memory = 48 * 1024;   // what CUDA has for a kernel that asks for no more
  bool registers = false;
  std::vector<std::string> targets;
};

/// The options that words begin with; they are taken away.
Command read_options(std::vector<std::string>& words) {
  Command command;
  const std::map<std::string, std::string*> options = {{"--nvrtc", &command.nvrtc}, {"--model", &command.model}, {"--dtype", &command.dtype}, {"--text-to", &command.text_to}};
  while (!words.empty() && words[0].rfind("--", 0) == 0) {
    const auto name = words[0];
    words.erase(words.begin());
    if (name == "--registers") {
      command.registers = true;
      continue;
    }
    if (words.empty()) throw Error("give " + name + " a value");
    if (name == "--shared") command.shared_memory = std::stoll(words[0]);
    else if (options.count(name) == 0) throw Error(name + " is no option");
    else *options.at(name) = words[0];
    words.erase(words.begin());
  }
  return command;
}

std::string kernels_of_model(const Command& command) {
  const auto bytes = read_file(command.model);
  return text_of(open_container(bytes, command.model), command.dtype, command.shared_memory);
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (file.fail()) throw Error("cannot write " + path);
}

Command read_command(std::vector<std::string> words) {
  auto command = read_options(words);
  if (command.model.empty() && !words.empty()) {
    command.source = read_file(words[0]);
    words.erase(words.begin());
  } else if (!command.model.empty()) {
    command.source = kernels_of_model(command);
  }
  if (command.source.empty() || words.size() < 2)
    throw Error("give a file of kernels or --model <model.pt>, a folder and targets: sm_<number>, compute_<number> or opencl:<index>");
  command.folder = words[0];
  command.targets.assign(words.begin() + 1, words.end());
  return command;
}

/// Without what the compiler says of the GPU and not of the kernels.
std::string complaints(const std::string& log) {
  std::istringstream lines(log);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("nvrtc: warning: Architectures prior", 0) != 0) kept += line + "\n";
  return kept;
}

/// False where the compiler has anything to say.
bool compile_by_nvrtc(const Command& command, const std::string& target) {
  static const Nvrtc compiler(command.nvrtc.empty() ? places_of_nvrtc(newest_cuda) : std::vector<std::string>{command.nvrtc});
  const auto text = whole_text(command.source);
  const auto compiled = compiler.compile(text, target);
  const auto said = complaints(compiled.log);
  std::printf("%s by %s: %zu bytes\n%s", target.c_str(), compiler.name().c_str(), compiled.binary.size(), said.c_str());
  if (command.registers) std::printf("%s\n", compiler.compile(text, target, {"--ptxas-options=-v", "--disable-warnings"}).log.c_str());
  const auto path = command.folder + "/" + target + (target.rfind("sm_", 0) == 0 ? ".cubin" : ".ptx");
  write(path, compiled.binary);
  return said.empty() && !compiled.binary.empty();
}

bool compile(const Command& command, const std::string& target) {
  if (target.rfind("opencl:", 0) != 0) return compile_by_nvrtc(command, target);
  const auto complaints = opencl_complaints(std::stoi(target.substr(7)), command.source);
  std::printf("%s\n%s", target.c_str(), complaints.c_str());
  return complaints.empty();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto command = read_command({argv + 1, argv + argc});
    if (!command.text_to.empty()) write(command.text_to, whole_text(command.source));
    bool clean = true;
    for (const auto& target : command.targets) clean = compile(command, target) && clean;
    return clean ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
