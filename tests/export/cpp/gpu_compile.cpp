// Compiles kernels, without running them, and takes warnings for errors:
//
//   gpu_compile [--nvrtc <libnvrtc.so>] [--registers] <file of kernels> <folder> <target> ...
//
// Targets are sm_<number> (machine code, to <folder>/<target>.cubin) and compute_<number> (to <folder>/<target>.ptx), which need NVIDIA's NVRTC but no GPU,
// and opencl:<index>, which writes no file. The file is without the prelude; --registers prints what each kernel takes.
// SPDX-License-Identifier: MIT
#include "gpu/compilation.h"
#include "gpu/nvrtc.h"
#include "gpu/opencl_device.h"

#include "spinconv/model.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace spinconv;
using namespace spinconv::gpu;

constexpr int newest_cuda = 13;

struct Command {
  std::string nvrtc, source, folder;
  bool registers = false;
  std::vector<std::string> targets;
};

Command read_command(std::vector<std::string> words) {
  Command command;
  for (; !words.empty() && words[0].rfind("--", 0) == 0; words.erase(words.begin())) {
    command.registers = command.registers || words[0] == "--registers";
    if (words[0] != "--nvrtc" || words.size() < 2) continue;
    words.erase(words.begin());
    command.nvrtc = words[0];
  }
  if (words.size() < 3) throw Error("give a file of kernels, a folder and targets: sm_<number>, compute_<number> or opencl:<index>");
  command.source = read_file(words[0]);
  command.folder = words[1];
  command.targets.assign(words.begin() + 2, words.end());
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
  std::ofstream file(path, std::ios::binary);
  file << compiled.binary;
  file.close();
  if (file.fail()) throw Error("cannot write " + path);
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
    bool clean = true;
    for (const auto& target : command.targets) clean = compile(command, target) && clean;
    return clean ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
