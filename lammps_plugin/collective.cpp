// SPDX-License-Identifier: GPL-2.0-or-later
#include "collective.h"

#include "comm.h"
#include "lammps.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace spinconv {

News most_urgent(LAMMPS &lmp, const News &mine)
{
  struct {
    double urgency;
    int process;
  } here = {mine.urgency, lmp.comm->me}, first = here;
  MPI_Allreduce(&here, &first, 1, MPI_DOUBLE_INT, MPI_MAXLOC, lmp.world);
  if (first.urgency == 0.0) return {};
  return {first.urgency, broadcast(lmp, mine.text, first.process)};
}

std::string first_problem(LAMMPS &lmp, const std::string &problem)
{
  return most_urgent(lmp, {problem.empty() ? 0.0 : INFINITY, problem}).text;
}

std::string broadcast(LAMMPS &lmp, const std::string &bytes, int root)
{
  if (lmp.comm->nprocs == 1) return bytes;
  const bool is_root = lmp.comm->me == root;
  long long size = is_root ? static_cast<long long>(bytes.size()) : 0;
  MPI_Bcast(&size, 1, MPI_LONG_LONG, root, lmp.world);
  std::string all = is_root ? bytes : std::string(size, '\0');
  constexpr long long most_at_once = 1 << 30;    // MPI counts in int
  for (long long from = 0; from < size; from += most_at_once)
    MPI_Bcast(&all[from], static_cast<int>(std::min(most_at_once, size - from)), MPI_CHAR, root, lmp.world);
  return all;
}

int process_on_node(LAMMPS &lmp)
{
  int number = 0;
#if MPI_VERSION >= 3
  MPI_Comm node;
  MPI_Comm_split_type(lmp.world, MPI_COMM_TYPE_SHARED, lmp.comm->me, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &number);
  MPI_Comm_free(&node);
#endif
  return number;
}

}    // namespace spinconv
