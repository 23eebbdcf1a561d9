// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbor_completeness.h"

#include "atom.h"
#include "comm.h"
#include "fmt/format.h"
#include "group.h"
#include "lammps.h"
#include "neigh_list.h"
#include "neighbor.h"

using namespace LAMMPS_NS;

namespace spinconv {
namespace {

constexpr int all = 0;    // number of the group

/// What `comm_modify group` has set; LAMMPS shows it to the descendants of Comm.
bool ghosts_are_of_a_group(const Comm &comm)
{
  struct Descendant : Comm {
    static int Comm::*group() { return &Descendant::bordergroup; }
  };
  return comm.*Descendant::group() != all;
}

bool is_of_all(const Neighbor &neighbor, int k)
{
  return neighbor.ex1_group[k] == all || neighbor.ex2_group[k] == all;
}

/// Whether this process sees an atom of these groups that is part of the model.
bool has_node(const Atom &atom, const Nodes &nodes, int groups)
{
  for (int i = 0; i < atom.nlocal + atom.nghost; ++i)
    if ((atom.mask[i] & groups) && nodes.node_of(i) >= 0) return true;
  return false;
}

/// `neigh_modify exclude` with types, two groups or molecules: the command, where it concerns the model.
std::string exclusion(LAMMPS &lmp, const Nodes &nodes, const std::vector<int64_t> &number_of_type)
{
  const Neighbor &neighbor = *lmp.neighbor;
  const Atom &atom = *lmp.atom;
  char **const names = lmp.group->names;
  for (int k = 0; k < neighbor.nex_type; ++k)
    if (number_of_type[neighbor.ex1_type[k]] != 0 && number_of_type[neighbor.ex2_type[k]] != 0)
      return fmt::format("type {} {}", neighbor.ex1_type[k], neighbor.ex2_type[k]);
  for (int k = 0; k < neighbor.nex_group; ++k)
    if (!is_of_all(neighbor, k) && has_node(atom, nodes, neighbor.ex1_bit[k]) && has_node(atom, nodes, neighbor.ex2_bit[k]))
      return fmt::format("group {} {}", names[neighbor.ex1_group[k]], names[neighbor.ex2_group[k]]);
  for (int k = 0; k < neighbor.nex_mol; ++k)
    if (has_node(atom, nodes, neighbor.ex_mol_bit[k]))
      return fmt::format("molecule/{} {}", neighbor.ex_mol_intra[k] ? "intra" : "inter", names[neighbor.ex_mol_group[k]]);
  return "";
}

/// Whether an atom and one of its special neighbors of this kind, 1-2, 1-3 or 1-4, are both part of the model.
bool has_special_pair(Atom &atom, const Nodes &nodes, int kind)
{
  for (int i = 0; i < atom.nlocal; ++i) {
    if (nodes.node_of(i) < 0) continue;
    if (atom.molecular == Atom::TEMPLATE) {    // which hides its special neighbors
      if (atom.molindex[i] >= 0) return true;
      continue;
    }
    const int *counts = atom.nspecial[i];    // cumulative
    for (int n = kind == 1 ? 0 : counts[kind - 2]; n < counts[kind - 1]; ++n) {
      const int j = atom.map(atom.special[i][n]);
      if (j >= 0 && nodes.node_of(j) >= 0) return true;
    }
  }
  return false;
}

/// The first kind of special neighbors that the list is without, 0 for none. A `special_bonds` that scales leaves nothing out.
int kind_of_special_left_out(Atom &atom, const Neighbor &neighbor, const Nodes &nodes)
{
  if (atom.molecular == Atom::ATOMIC) return 0;
  for (int kind = 1; kind <= 3; ++kind)
    if (neighbor.special_flag[kind] == 0 && has_special_pair(atom, nodes, kind)) return kind;
  return 0;
}

/// Two elements whose pairs a hybrid style has given to another of its styles, as two types; {0, 0} for none.
std::pair<int, int> types_of_another_style(const NeighList &list, const std::vector<int64_t> &number_of_type)
{
  if (!list.iskip || !list.ijskip) return {0, 0};
  const int n_types = static_cast<int>(number_of_type.size()) - 1;
  for (int i = 1; i <= n_types; ++i)
    for (int j = i; j <= n_types; ++j)
      if (number_of_type[i] != 0 && number_of_type[j] != 0 && (list.iskip[i] || list.iskip[j] || list.ijskip[i][j])) return {i, j};
  return {0, 0};
}

}    // namespace

bool is_excluded_from_all(const Neighbor &neighbor, int groups)
{
  for (int k = 0; k < neighbor.nex_group; ++k)
    if (is_of_all(neighbor, k) && (groups & (neighbor.ex1_group[k] == all ? neighbor.ex2_bit : neighbor.ex1_bit)[k])) return true;
  return false;
}

std::string missing_neighbors(LAMMPS &lmp, const NeighList &list, const Nodes &nodes, const std::vector<int64_t> &number_of_type)
{
  const std::string start = "needs every neighbor, but ";
  if (lmp.neighbor->includegroup != all) return start + "`neigh_modify include` leaves atoms out; use `neigh_modify include all`";
  if (ghosts_are_of_a_group(*lmp.comm)) return start + "`comm_modify group` leaves ghosts out; use `comm_modify group all`";
  const auto excluded = exclusion(lmp, nodes, number_of_type);
  if (!excluded.empty()) return start + "`neigh_modify exclude " + excluded + "` leaves some out; take that line out of the input";
  const int kind = kind_of_special_left_out(*lmp.atom, *lmp.neighbor, nodes);
  if (kind > 0)
    return start + fmt::format("`special_bonds` leaves out 1-{} pairs; use `special_bonds lj/coul 1.0 1.0 1.0`", kind + 1);
  const auto types = types_of_another_style(list, number_of_type);
  if (types.first > 0)
    return start + fmt::format("a `pair_coeff` gives types {} and {} to another style; use `hybrid/overlay`, or NULL for such types",
                               types.first, types.second);
  if (list.molskip == 2) return start + "`hybrid/molecular` leaves out those of the same molecule; make it the first of the two styles";
  return "";
}

}    // namespace spinconv
