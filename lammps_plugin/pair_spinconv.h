// pair_style spinconv: energy, forces and virial of SpinConv models. LAMMPS types only; torch stays behind spinconv::Model.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "collective.h"
#include "committee.h"
#include "device_atoms.h"
#include "ghost_exchange.h"
#include "neighbor_graph.h"
#include "node_sums.h"
#include "nodes.h"
#include "pair_settings.h"
#include "spinconv/extrapolation.h"
#include "spinconv/model.h"

#include "pair.h"

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
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

  void *extract(const char *, int &) override;
  void *extract_peratom(const char *, int &) override;
  double memory_usage() override;

  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;

 private:
  void allocate();
  void forget_coeffs();
  void on_all(const std::function<void()> &step);
  std::vector<spinconv::Model> load_models(spinconv::PairSettings &wanted);
  void use_models(std::vector<spinconv::Model>);
  void let_init_style_speak();
  void check_models() const;
  void set_comm_sizes();
  void say_what_was_loaded();
  void check_kinds(const std::vector<spinconv::Model> &, const std::vector<std::string> &files) const;
  void check_element(const std::string &symbol) const;

  void check_units();
  void check_masses();
  void check_time_step();
  bool has_element(int type) const { return number_of_type[type] != 0; }

  void look_for_extrapolation();
  spinconv::News news_of_extrapolation() const;
  void warn_of_extrapolation(const spinconv::News &);
  void warn_of_short_distances();

  void evaluate();
  void evaluate_models();
  void evaluate_on_device(const spinconv::Request &);
  void evaluate_edges(const spinconv::Request &);
  spinconv::Wanted wanted() const;
  spinconv::Graph edges();
  std::string name_of(int64_t node) const;
  std::string words_on_bad_numbers();
  void add_energy();
  void add_forces();
  void add_virial();

  bool has_direct_forces() const { return models[0].info().direct_forces; }
  void deny_virial();
  void warn_of_missing_virial() const;

  /// A step of a committee until it is known that its frame will stay.
  struct StepToEnd {
    bigint step;
    spinconv::Deviation force, virial;
    double mark;    // of the frame
  };
  void check_partitions(const spinconv::PairSettings &) const;
  void claim_deviation_file(const spinconv::PairSettings &);
  void prepare_deviations();
  void forget_deviations();
  void find_deviations();
  void end_step();
  bool has_line(const StepToEnd &) const;
  bool halts(const StepToEnd &) const;
  double mark_of_frame() const;
  void sum_forces_of_models();
  std::vector<std::array<double, 9>> sum_virials_of_models() const;
  spinconv::Deviation spread_over_atoms() const;
  template <class Number> void spread(const std::vector<Number> &of_nodes, double unit, std::vector<double> &of_atoms) const;
  void keep_peratom_output();
  void bring_peratom_output(const char *name);

  spinconv::PairSettings asked;
  std::vector<spinconv::Model> models;
  double cutoff = 0.0;                                   // Å, the longest of the models'
  std::vector<int64_t> number_of_type;                   // by atom type, from 1; 0 is NULL: such atoms are not part of the model
  double energy_unit = 1.0;                              // of the run, in eV
  double angstrom = 1.0;                                 // in the length unit of the run
  bool has_kernels = false;                              // of which some model is computed
  spinconv::Nodes nodes;
  spinconv::NeighborGraph graph;
  std::unique_ptr<spinconv::DeviceAtoms> device_atoms;   // in place of the graph, where one model computes by kernels
  spinconv::NodeSums sums;                               // of this step
  spinconv::Watch watch;                                 // of atoms unlike those of training
  int64_t n_outside = 0;                                 // such atoms, on this process
  double shortest = INFINITY;                            // distance, Å, looked for where a file does not know what is usual
  bool has_warned = false;                               // of such atoms, in this run
  spinconv::GhostExchange exchange;
  std::vector<spinconv::Result> results;                 // [n_models]
  spinconv::Result mean;                                 // of a committee

  std::vector<double> forces_of_models;                  // [n_nodes][n_models][3], eV/Å
  std::vector<double> force_deviations, energy_deviations;    // [n_owned nodes], eV/Å and eV
  std::optional<StepToEnd> step_to_end, last_written;
  double extra[4] = {0.0, 0.0, 0.0, 0.0};                // pvector: of a committee largest, smallest, mean force deviation; atoms outside
  std::vector<double> peratom_energy, peratom_force_deviation, peratom_energy_deviation, peratom_outside;    // [nmax]
  bool energies_are_there = false, outside_are_there = false;    // on the device, newer than these
  int always_on = 1;
  double model_seconds = 0.0;                            // spent in the models, exchanges included; benchmarks ask for it
};

}    // namespace LAMMPS_NS
