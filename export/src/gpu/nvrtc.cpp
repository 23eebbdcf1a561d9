// SPDX-License-Identifier: MIT
#include "nvrtc.h"

#include "shared_library.h"

#include "../own_folder.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace spinconv::gpu {

using Handle = struct NvrtcProgramTag*;
using Status = int;   // an enumeration of the library's; 0 is success

struct Nvrtc::Functions {
  Status (*get_version)(int* major, int* minor);
  Status (*get_number_of_architectures)(int* n);
  Status (*get_architectures)(int* architectures);
  Status (*create)(Handle* program, const char* text, const char* name, int n_headers, const char* const* headers, const char* const* names);
  Status (*destroy)(Handle* program);
  Status (*compile)(Handle program, int n_options, const char* const* options);
  Status (*get_log_size)(Handle program, size_t* size);
  Status (*get_log)(Handle program, char* log);
  Status (*get_cubin_size)(Handle program, size_t* size);
  Status (*get_cubin)(Handle program, char* cubin);
  Status (*get_ptx_size)(Handle program, size_t* size);
  Status (*get_ptx)(Handle program, char* ptx);
  const char* (*in_words)(Status status);
};

namespace {

constexpr int oldest_major = 12, newest_major = 13;   // of CUDA; a later driver runs what these compile, too

/// As of a Python package: its folder's name has been another since CUDA 13.
std::string package_folder(int major) { return major < 13 ? "nvidia/cuda_nvrtc/lib/" : "nvidia/cu" + std::to_string(major) + "/lib/"; }

std::vector<std::string> toolkit_folders() {
  std::vector<std::string> folders;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0') folders.push_back(std::string(folder) + "/lib64/");
  folders.push_back("/usr/local/cuda/lib64/");
  return folders;
}

/// A text that the library measures, and then writes.
std::string take(Handle program, Status (*get_size)(Handle, size_t*), Status (*get)(Handle, char*)) {
  size_t size = 0;
  if (get_size(program, &size) != 0) return "";
  std::string text(size, '\0');
  return get(program, text.data()) == 0 ? text : "";
}

/// Of the zero that the library ends a text with, and of empty lines before it.
void trim(std::string& text) { text.resize(text.find_last_not_of(std::string("\0\n ", 3)) + 1); }

bool is_machine_code(const std::string& architecture) { return architecture.rfind("sm_", 0) == 0; }

}  // namespace

Nvrtc::Nvrtc(const std::vector<std::string>& paths) {
  SharedLibrary library(paths);
  auto f = std::make_shared<Functions>();
  library.find(f->get_version, "nvrtcVersion");
  library.find(f->get_number_of_architectures, "nvrtcGetNumSupportedArchs");
  library.find(f->get_architectures, "nvrtcGetSupportedArchs");
  library.find(f->create, "nvrtcCreateProgram");
  library.find(f->destroy, "nvrtcDestroyProgram");
  library.find(f->compile, "nvrtcCompileProgram");
  library.find(f->get_log_size, "nvrtcGetProgramLogSize");
  library.find(f->get_log, "nvrtcGetProgramLog");
  library.find(f->get_cubin_size, "nvrtcGetCUBINSize");
  library.find(f->get_cubin, "nvrtcGetCUBIN");
  library.find(f->get_ptx_size, "nvrtcGetPTXSize");
  library.find(f->get_ptx, "nvrtcGetPTX");
  library.find(f->in_words, "nvrtcGetErrorString");
  if (!library.problem().empty()) throw Error("NVIDIA's compiler of kernels (NVRTC) " + library.problem());
  int major = 0, minor = 0, n = 0;
  f->get_version(&major, &minor);
  f->get_number_of_architectures(&n);
  architectures_.resize(static_cast<size_t>(n));
  f->get_architectures(architectures_.data());
  std::sort(architectures_.begin(), architectures_.end());
  version_ = 1000 * major + 10 * minor;
  functions_ = std::move(f);
}

std::string Nvrtc::name() const { return "NVRTC " + std::to_string(version_ / 1000) + "." + std::to_string(version_ % 1000 / 10); }

// Multiplications and additions may be fused. Whatever else is faster and less exact is not asked for.
const std::vector<std::string>& Nvrtc::options() {
  static const std::vector<std::string> always = {"--std=c++17", "--fmad=true"};
  return always;
}

Nvrtc::Compiled Nvrtc::compile(const std::string& text, const std::string& architecture, const std::vector<std::string>& more_options) const {
  const auto& f = *functions_;
  const auto option = "--gpu-architecture=" + architecture;
  std::vector<const char*> all = {option.c_str()};
  for (const auto* list : {&options(), &more_options})
    for (const auto& word : *list) all.push_back(word.c_str());
  Handle program = nullptr;
  if (const auto status = f.create(&program, text.c_str(), "kernels", 0, nullptr, nullptr); status != 0) {
    throw Error(name() + " cannot make a program: " + f.in_words(status));
  }
  const auto status = f.compile(program, static_cast<int>(all.size()), all.data());
  Compiled compiled;
  compiled.log = take(program, f.get_log_size, f.get_log);
  trim(compiled.log);
  if (status == 0 && is_machine_code(architecture)) {
    compiled.binary = take(program, f.get_cubin_size, f.get_cubin);
  } else if (status == 0) {
    compiled.binary = take(program, f.get_ptx_size, f.get_ptx);
    trim(compiled.binary);
  }
  if (status != 0 && compiled.log.empty()) compiled.log = f.in_words(status);
  f.destroy(&program);
  return compiled;
}

std::vector<std::string> places_of_nvrtc(int newest) {
  const auto packages = own_folder() + "../../";   // site-packages, of a library in site-packages/spinconv/export, say
  std::vector<std::string> places;
  for (int major = std::clamp(newest, oldest_major, newest_major); major >= oldest_major; --major) {
    const auto library = "libnvrtc.so." + std::to_string(major);
    places.push_back(packages + package_folder(major) + library);
    places.push_back(library);
    places.push_back(packages + "../../" + library);   // lib of a conda environment
    for (const auto& folder : toolkit_folders()) places.push_back(folder + library);
  }
  places.push_back("libnvrtc.so");
  return places;
}

std::string how_to_get_nvrtc(int newest) { return newest < 13 ? "pip install nvidia-cuda-nvrtc-cu12" : "pip install nvidia-cuda-nvrtc"; }

}  // namespace spinconv::gpu
