// The deviation files of a LAMMPS, and the end of a step, at which committees write to them. An internal fix: it outlives the pair styles that
// come and go, and it hears of a step when Monte Carlo moves have tried what they try and the forces are those of the frame.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "committee.h"

#include "fix.h"

#include <functional>
#include <map>
#include <string>

namespace LAMMPS_NS {

class Pair;

class FixDeviationFiles : public Fix {
 public:
  using Fix::Fix;

  /// The one of this LAMMPS, null or made where there is none. It can be made once there is a box.
  static FixDeviationFiles *find(LAMMPS *);
  static FixDeviationFiles &find_or_make(LAMMPS *);

  int setmask() override;
  void setup(int) override { tell_all(); }
  void min_setup(int) override { tell_all(); }
  void end_of_step() override { tell_all(); }
  void post_run() override { tell_all(); }

  /// Calls `when_a_step_ends`, until the pair is forgotten.
  void add(const Pair *, const std::function<void()> &when_a_step_ends);
  /// A file that another pair of this LAMMPS had before goes on. Throws spinconv::Error.
  void open(const Pair *, const std::string &path, const std::string &units);
  void forget(const Pair *);

  spinconv::DeviationFile &file_of(const Pair *);

  /// Keeps a file for one pair, also before there is a box. Throws spinconv::Error where another pair of this LAMMPS has it.
  static void claim(const LAMMPS *, const Pair *, const std::string &path);
  static void give_up(const Pair *);

 private:
  void tell_all();

  struct Committee {
    std::function<void()> when_a_step_ends;
    std::string path;    // canonical
    spinconv::DeviationFile file;
  };
  std::map<const Pair *, Committee> committees;
  std::map<std::string, bool> has_begun;    // files by canonical path
};

}    // namespace LAMMPS_NS
