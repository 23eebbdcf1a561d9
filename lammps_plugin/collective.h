// Bad news that one process has and all must act on: none may wait for another that has left.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace LAMMPS_NS {
class LAMMPS;
}

namespace spinconv {

/// What a process has to tell the others, and how urgent it is: 0 for nothing, infinite for what ends the run.
struct News {
  double urgency = 0.0;
  std::string text;
};

/// Every process calls it with its news. All get the most urgent; of equals, that of the lowest process.
News most_urgent(LAMMPS_NS::LAMMPS &lmp, const News &mine);

/// Every process calls it with what went wrong there, or nothing. All get the words of the lowest that has some; "" if none has.
std::string first_problem(LAMMPS_NS::LAMMPS &lmp, const std::string &problem);

/// The bytes that process 0 has, on all.
std::string broadcast(LAMMPS_NS::LAMMPS &lmp, const std::string &bytes, int root = 0);

/// The number of this process among those of its computer.
int process_on_node(LAMMPS_NS::LAMMPS &lmp);

}    // namespace spinconv
