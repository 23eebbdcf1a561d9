// pair_style spinconv: energy, forces and virial of a SpinConv model. LAMMPS types only; torch stays behind spinconv::Model.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "neighbor_graph.h"
#include "spinconv/model.h"

#include "pair.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairSpinConv : public Pair {
 public:
  explicit PairSpinConv(class LAMMPS *);
  ~PairSpinConv() override;

  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;

 private:
  void allocate();
  void forget_coeffs();
  int64_t element_of(const std::string &symbol) const;    // atomic number, 0 for NULL
  void refuse_holes_in_the_neighbor_list();
  void add_energy();
  void add_forces();
  void add_virial();
  void check_result();
  double shortest_distance(int64_t node) const;

  std::unique_ptr<spinconv::Model> model;
  std::string model_file;
  std::vector<int64_t> number_of_type;    // by atom type, from 1; 0 is NULL: such atoms are not part of the model
  spinconv::NeighborGraph graph;
  spinconv::Result result;
};

}    // namespace LAMMPS_NS
