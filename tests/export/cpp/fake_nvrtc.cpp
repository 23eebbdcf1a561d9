// NVIDIA's compiler as far as tests need one that is everywhere: what it makes of a text is the text, after the name of the architecture (fake_cuda.cpp).
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct Program {
  std::string text, binary, log;
};

constexpr int architectures[] = {70, 90};
constexpr int compilation_failed = 6;
const std::string wrong = "this does not compile";

int copy(const std::string& from, char* to) {
  std::memcpy(to, from.c_str(), from.size() + 1);
  return 0;
}

/// Of what is wrong, as `#line` counts.
int line_of(const std::string& text, size_t where) {
  const auto marked = text.rfind("#line ", where);
  int line = std::atoi(text.c_str() + marked + 6) - 1;
  for (auto i = marked; i < where; ++i) line += text[i] == '\n';
  return line;
}

}  // namespace

extern "C" {

int nvrtcVersion(int* major, int* minor) {
  *major = 12, *minor = 9;
  return 0;
}
int nvrtcGetNumSupportedArchs(int* n) {
  *n = 2;
  return 0;
}
int nvrtcGetSupportedArchs(int* known) {
  std::memcpy(known, architectures, sizeof architectures);
  return 0;
}
const char* nvrtcGetErrorString(int) { return "NVRTC_ERROR"; }
int nvrtcCreateProgram(Program** program, const char* text, const char*, int, const char* const*, const char* const*) {
  *program = new Program{text, "", ""};
  return 0;
}
int nvrtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return 0;
}
int nvrtcCompileProgram(Program* program, int n_options, const char* const* options) {
  for (int i = 0; i < n_options; ++i) {
    const std::string option = options[i], head = "--gpu-architecture=";
    if (option.rfind(head, 0) == 0) program->binary = option.substr(head.size()) + " " + program->text;
  }
  const auto where = program->text.find(wrong);
  if (where == std::string::npos) return 0;
  program->log = "kernels(" + std::to_string(line_of(program->text, where)) + "): error: identifier \"this\" is undefined\n";
  return compilation_failed;
}
int nvrtcGetProgramLogSize(Program* program, size_t* size) {
  *size = program->log.size() + 1;
  return 0;
}
int nvrtcGetProgramLog(Program* program, char* log) { return copy(program->log, log); }
int nvrtcGetCUBINSize(Program* program, size_t* size) {
  *size = program->binary.size() + 1;
  return 0;
}
int nvrtcGetCUBIN(Program* program, char* cubin) { return copy(program->binary, cubin); }
int nvrtcGetPTXSize(Program* program, size_t* size) { return nvrtcGetCUBINSize(program, size); }
int nvrtcGetPTX(Program* program, char* ptx) { return copy(program->binary, ptx); }

}  // extern "C"
