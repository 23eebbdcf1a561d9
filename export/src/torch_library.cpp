// SPDX-License-Identifier: MIT
#include "torch_library.h"

#include "own_folder.h"

#include "spinconv/torch_version.h"

#include <dlfcn.h>

namespace spinconv {
namespace {

#ifdef SPINCONV_TORCH_ABI_VERSION

constexpr const char* library_name = "libspinconv_torch.so";
constexpr const char* places[] = {"", "../export/"};   // from where this code is: a plugin is in a folder beside that of the library

/// Of the libtorch that the library will get. Another one lacks symbols, or has them and crashes.
std::string problem_of_torch() {
  void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_LOCAL);
  if (torch == nullptr) return std::string("cannot be loaded: ") + dlerror();
  void* version = dlsym(torch, "aoti_torch_abi_version");
  if (version == nullptr) return "that is installed is older than 2.9, which is the oldest that it can be built for";
  const auto problem = torch_problem(SPINCONV_TORCH_ABI_VERSION, reinterpret_cast<TorchVersion (*)()>(version)());
  return problem.empty() ? "" : "does not fit: " + problem;
}

void* open_library() {
  std::string why;
  for (const char* place : places) {
    void* library = dlopen((own_folder() + place + library_name).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) return library;
    why = dlerror();
  }
  throw Error("is here, but what evaluates by it cannot be loaded: " + why + "; build it again");
}

#endif

}  // namespace

#ifdef SPINCONV_TORCH_ABI_VERSION

MakeTorchEvaluator load_torch_library() {
  if (const auto problem = problem_of_torch(); !problem.empty()) throw Error(problem);
  void* function = dlsym(open_library(), make_torch_evaluator);
  if (function == nullptr) throw Error("is here, but what evaluates by it is of another spinconv; build it again");
  return reinterpret_cast<MakeTorchEvaluator>(function);
}

#else

MakeTorchEvaluator load_torch_library() {
  throw Error("was not there when this spinconv was built; install it (pip install torch), then build again (pip install --force-reinstall --no-deps . in the folder of the sources)");
}

#endif

}  // namespace spinconv
