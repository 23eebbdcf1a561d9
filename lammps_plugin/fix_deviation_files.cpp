// SPDX-License-Identifier: GPL-2.0-or-later
#include "fix_deviation_files.h"

#include "comm.h"
#include "modify.h"
#include "update.h"

#include <filesystem>

using namespace LAMMPS_NS;

namespace {

constexpr const char *its_id = "SPINCONV_DEVIATION_FILES", *its_style = "SPINCONV/DEVIATION_FILES";

Fix *create(LAMMPS *lmp, int narg, char **arg)
{
  auto *fix = new FixDeviationFiles(lmp, narg, arg);
  fix->nevery = 1;
  return fix;
}

struct Claim {
  const LAMMPS *lammps;
  std::string path;    // canonical
};

std::map<const Pair *, Claim> &claims()
{
  static std::map<const Pair *, Claim> by_pair;
  return by_pair;
}

/// One name for a file, however it was written.
std::string canonical(const std::string &path)
{
  std::error_code none;
  const auto found = std::filesystem::weakly_canonical(path, none);
  return none ? path : found.string();
}

}    // namespace

FixDeviationFiles *FixDeviationFiles::find(LAMMPS *lmp)
{
  return lmp->modify ? dynamic_cast<FixDeviationFiles *>(lmp->modify->get_fix_by_id(its_id)) : nullptr;
}

FixDeviationFiles &FixDeviationFiles::find_or_make(LAMMPS *lmp)
{
  if (!find(lmp)) {
    (*lmp->modify->fix_map)[its_style] = &create;
    lmp->modify->add_fix(std::string(its_id) + " all " + its_style, 0);
  }
  return *find(lmp);
}

int FixDeviationFiles::setmask()
{
  return FixConst::END_OF_STEP | FixConst::POST_RUN;
}

void FixDeviationFiles::tell_all()
{
  for (const auto &committee : committees) committee.second.when_a_step_ends();
}

void FixDeviationFiles::add(const Pair *pair, const std::function<void()> &when_a_step_ends)
{
  committees[pair].when_a_step_ends = when_a_step_ends;
}

void FixDeviationFiles::open(const Pair *pair, const std::string &path, const std::string &units)
{
  const auto name = canonical(path);
  auto &mine = committees.at(pair);
  if (mine.path == name) return;
  if (comm->me == 0) mine.file.open(path, has_begun[name], "energy, units " + units, "force, units " + units);
  mine.path = name;
  has_begun[name] = true;
}

void FixDeviationFiles::forget(const Pair *pair)
{
  committees.erase(pair);
}

spinconv::DeviationFile &FixDeviationFiles::file_of(const Pair *pair)
{
  return committees.at(pair).file;
}

void FixDeviationFiles::claim(const LAMMPS *lmp, const Pair *pair, const std::string &path)
{
  const auto name = canonical(path);
  for (const auto &other : claims())
    if (other.first != pair && other.second.lammps == lmp && other.second.path == name)
      throw spinconv::Error("`out_file` must be another for every committee, got " + path + " for two");
  claims()[pair] = {lmp, name};
}

void FixDeviationFiles::give_up(const Pair *pair)
{
  claims().erase(pair);
}
