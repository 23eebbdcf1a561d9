// Atoms that stay on a device, whose edges are found there, against the native evaluator with edges by trying all images.
// SPDX-License-Identifier: MIT
#include "gas.h"
#include "images.h"
#include "laws.h"
#include "on_devices.h"

#include "gpu/evaluator.h"
#include "native/evaluator.h"

#include "spinconv/extrapolation.h"
#include "spinconv/model.h"
#include "spinconv/on_device.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::difference;
using laws::Gas;
using laws::in_words;
using laws::largest;
using spinconv::Request;
using spinconv::Result;
using Cell = std::array<std::array<double, 3>, 3>;
using Periodic = std::array<bool, 3>;

/// Atoms in a cell, with all edges within the cutoff.
struct Crystal {
  Gas gas;
  Cell cell;
  Periodic periodic;

  Crystal(Gas atoms, double cutoff, Cell lattice, Periodic directions) : gas(std::move(atoms)), cell(lattice), periodic(directions) {
    gas.source.clear(), gas.target.clear(), gas.vectors.clear();
    const auto n = static_cast<int64_t>(gas.numbers.size());
    int most[3];
    for (int k = 0; k < 3; ++k) most[k] = periodic[k] ? 6 : 0;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int a = -most[0]; a <= most[0]; ++a)
          for (int b = -most[1]; b <= most[1]; ++b)
            for (int c = -most[2]; c <= most[2]; ++c) {
              double r[3];
              for (int k = 0; k < 3; ++k) r[k] = gas.positions[3 * j + k] - gas.positions[3 * i + k] + a * cell[0][k] + b * cell[1][k] + c * cell[2][k];
              if ((i == j && a == 0 && b == 0 && c == 0) || std::hypot(r[0], r[1], r[2]) >= cutoff) continue;
              gas.source.push_back(j), gas.target.push_back(i);
              gas.vectors.insert(gas.vectors.end(), r, r + 3);
            }
  }
};

/// What engines add up.
struct Sums {
  std::vector<double> energies, forces, virials, centroid_virials, virial;

  Sums(const spinconv::Graph& graph, const Result& result) : energies(result.atom_energies) {
    const auto n = static_cast<size_t>(graph.n_atoms + graph.n_ghosts);
    forces.assign(3 * n, 0.0), virials.assign(6 * n, 0.0), centroid_virials.assign(9 * n, 0.0), virial.assign(6, 0.0);
    for (int64_t e = 0; e < graph.n_edges; ++e) {
      const double *r = graph.vectors + 3 * e, *g = &result.edge_gradients[3 * e], *q = &result.centroid[9 * e];
      const double w[6] = {r[0] * g[0], r[1] * g[1], r[2] * g[2], 0.5 * (r[0] * g[1] + r[1] * g[0]), 0.5 * (r[0] * g[2] + r[2] * g[0]), 0.5 * (r[1] * g[2] + r[2] * g[1])};
      for (int k = 0; k < 3; ++k) forces[3 * graph.target[e] + k] += g[k], forces[3 * graph.source[e] + k] -= g[k];
      for (int k = 0; k < 6; ++k) virials[6 * graph.target[e] + k] -= w[k] / 2, virials[6 * graph.source[e] + k] -= w[k] / 2, virial[k] -= w[k];
      for (int k = 0; k < 9; ++k) centroid_virials[9 * graph.target[e] + k] -= q[k], centroid_virials[9 * graph.source[e] + k] += q[k] - r[k / 3] * g[k % 3];
    }
  }
  explicit Sums(spinconv::OnDevice& atoms) {
    atoms.read_energies(energies);
    atoms.read_forces(forces);
    atoms.read_virials(virials);
    atoms.read_centroid_virials(centroid_virials);
    const auto whole = atoms.read_virial();
    virial.assign(whole.begin(), whole.end());
  }
  double apart(const Sums& truth) const {
    double worst = 0.0;
    for (const auto part : {&Sums::energies, &Sums::forces, &Sums::virials, &Sums::centroid_virials, &Sums::virial})
      worst = std::max(worst, difference(this->*part, truth.*part) / std::max(1e-3, largest(truth.*part)));
    return worst;
  }
};

/// Keeps which exchanges were made.
struct Calls : spinconv::Exchange {
  std::string made;

  void to_ghosts(float*, int64_t width) override { made += " to " + std::to_string(width); }
  void to_ghosts(double*, int64_t width) override { made += " to " + std::to_string(width); }
  void from_ghosts(float*, int64_t width) override { made += " from " + std::to_string(width); }
  void from_ghosts(double*, int64_t width) override { made += " from " + std::to_string(width); }
};

class Comparison {
 public:
  Comparison(const spinconv::Container& container, const std::string& dtype, const std::string& device)
      : dtype_(dtype), info_(container.metadata.info), ours_(spinconv::gpu::make_evaluator(container, dtype, device, 0)),
        native_(spinconv::native::make_evaluator(container, "float64", 1)) {}

  spinconv::OnDevice& atoms() { return *ours_->on_device(); }
  double cutoff() const { return info_.cutoff; }

  void by_cells(const Crystal& crystal, const std::string& what) {
    if (!native_) return check(true, what + ": this processor has no native evaluator to compare with");
    atoms().set_atoms(crystal.gas.graph().n_atoms, 0, crystal.gas.numbers.data());
    atoms().set_cell(crystal.cell, crystal.periodic);
    compare(crystal.gas, what, nullptr);
  }

  /// All that is not the atom itself may be near.
  void among_candidates(const Gas& gas, const std::string& what, bool knows_border = false) {
    if (!native_) return;
    const auto graph = gas.graph();
    const auto n = static_cast<int32_t>(gas.numbers.size());
    std::vector<int32_t> node, row, first{0}, rows;
    for (int32_t k = 0; k < n; ++k) node.push_back(k);
    for (int32_t j = 0; j < graph.n_atoms; ++j) {
      row.push_back(j);
      for (int32_t k = 0; k < n; ++k)
        if (k != j) rows.push_back(k);
      first.push_back(static_cast<int32_t>(rows.size()));
    }
    atoms().set_atoms(graph.n_atoms, graph.n_ghosts, gas.numbers.data());
    atoms().set_candidates({n, node.data(), row.data(), first.data(), rows.data()});
    laws::Images images(graph.n_atoms, graph.n_ghosts, knows_border);
    compare(gas, what, &images);
  }

  void refuse(Crystal crystal, const std::string& what, double x, const std::string& words) {
    crystal.gas.positions[3] = x, crystal.gas.positions[4] = crystal.gas.positions[1], crystal.gas.positions[5] = crystal.gas.positions[2];
    atoms().set_atoms(crystal.gas.graph().n_atoms, 0, crystal.gas.numbers.data());
    atoms().set_cell(crystal.cell, crystal.periodic);
    atoms().write_positions(crystal.gas.positions.data());
    Request request;
    request.name = [](int64_t atom) { return "number " + std::to_string(atom); };
    const auto text = laws::refusal([&] { atoms().evaluate(request); });
    check(text.find(words) != std::string::npos, what + ": " + text);
  }

  void take_part() {
    atoms().set_atoms(1, 0, Gas(1, cutoff()).numbers.data());
    atoms().set_cell({}, {false, false, false});
    atoms().write_positions(std::array<double, 3>{}.data());
    for (const bool gradients : {true, false})
      for (const bool centroid : {true, false}) {
        Calls evaluated, passed;
        Request request;
        request.gradients = gradients, request.centroid = centroid;
        request.exchange = &evaluated;
        atoms().evaluate(request);
        request.exchange = &passed;
        atoms().take_part(3, 5, request);
        check(!evaluated.made.empty() && evaluated.made == passed.made, "a process that cannot evaluate makes the exchanges of those that do:" + passed.made);
      }
  }

 private:
  void compare(const Gas& gas, const std::string& what, spinconv::Exchange* exchange) {
    Request request;
    request.centroid = true;
    request.exchange = exchange;
    Result result;
    native_->evaluate(gas.graph(), request, result);
    const Sums truth(gas.graph(), result);
    atoms().write_positions(gas.positions.data());
    atoms().evaluate(request);
    const Sums found(atoms());
    const double tolerance = dtype_ == "float64" ? 1e-11 : 2e-4, error = found.apart(truth);
    check(error < tolerance, what + ", " + dtype_ + " on " + ours_->device() + ": as the native evaluator in float64, to " + in_words(error));
    check(atoms().read_graph().n_edges == gas.graph().n_edges, what + ": " + std::to_string(gas.graph().n_edges) + " edges");
    spinconv::Watch watch;
    watch.add(info_);
    std::vector<char> outside;
    if (watch.knows()) {
      watch.look(gas.graph());
      check(atoms().read_outside(outside) == watch.n_outside() && outside == watch.outside(), what + ": " + std::to_string(watch.n_outside()) + " atoms are unlike those of training");
    }
    request.centroid = false;
    atoms().evaluate(request);
    std::vector<double> again;
    atoms().read_forces(again);
    check(difference(again, found.forces) / std::max(1e-3, largest(found.forces)) < (dtype_ == "float64" ? 1e-12 : 1e-4), what + ": the same forces without centroids");
    std::vector<double> third;
    atoms().evaluate(request);
    atoms().read_forces(third);
    check(third == again, what + ": the same bits again");
  }

  std::string dtype_;
  spinconv::ModelInfo info_;
  std::unique_ptr<spinconv::Evaluator> ours_, native_;
};

/// Atoms moved by whole lattice vectors.
Gas unwrapped(Gas gas, const Cell& cell) {
  for (size_t i = 0; i < gas.numbers.size(); ++i)
    for (int k = 0; k < 3; ++k) gas.positions[3 * i + k] += (int(i % 5) - 2) * cell[0][k] + (int(i % 3) - 1) * cell[2][k];
  return gas;
}

void compare_all(Comparison& comparison) {
  const double cutoff = comparison.cutoff();
  const Cell wide = {{{12, 0, 0}, {0, 13, 0}, {0, 0, 11}}}, skewed = {{{11, 0, 0}, {4, 10, 0}, {-3, 5, 10}}}, small = {{{3.1, 0, 0}, {0.5, 3.6, 0}, {0.2, -0.4, 4.2}}}, none{};
  comparison.by_cells(Crystal(Gas(60, cutoff), cutoff, none, {false, false, false}), "a gas in no box");
  comparison.by_cells(Crystal(Gas(60, cutoff), cutoff, wide, {true, true, true}), "in a box");
  comparison.by_cells(Crystal(Gas(60, cutoff), cutoff, skewed, {true, true, true}), "in a triclinic box");
  comparison.by_cells(Crystal(unwrapped(Gas(60, cutoff), skewed), cutoff, skewed, {true, true, true}), "not wrapped");
  comparison.by_cells(Crystal(Gas(3, cutoff), cutoff, small, {true, true, true}), "in a box smaller than the cutoff");
  comparison.by_cells(Crystal(Gas(1, cutoff), cutoff, small, {true, true, true}), "an atom and its images");
  comparison.by_cells(Crystal(Gas(1, cutoff), cutoff, none, {false, false, false}), "an atom alone");
  comparison.by_cells(Crystal(Gas(60, cutoff), cutoff, {{{12, 0, 0}, {2, 13, 0}, {0, 0, 0}}}, {true, true, false}), "a slab");
  comparison.by_cells(Crystal(Gas(60, cutoff), cutoff, {{{0, 0, 0}, {0, 0, 0}, {1, 2, 11}}}, {false, false, true}), "a wire");
  auto far = Gas(2, cutoff);
  far.positions[0] = -3e6, far.positions[5] = 1e30;
  comparison.by_cells(Crystal(far, cutoff, none, {false, false, false}), "far apart");
  comparison.among_candidates(Gas(60, cutoff), "among candidates");
  comparison.among_candidates(Gas(60, cutoff, 20), "with ghosts");
  comparison.among_candidates(Gas(60, cutoff, 20), "with ghosts of atoms that are known", true);
  comparison.take_part();
  const Crystal crystal(Gas(60, cutoff), cutoff, wide, {true, true, true});
  comparison.refuse(crystal, "no number", std::numeric_limits<double>::quiet_NaN(), "the position of atom number 1 is not a number");
  comparison.refuse(crystal, "without end", std::numeric_limits<double>::infinity(), "the position of atom number 1 is not a number");
  comparison.refuse(crystal, "an atom twice", crystal.gas.positions[0] + 0.001, "atoms number 0 and number 1 are 0.001 Å apart");
  comparison.by_cells(crystal, "after what was refused");
}

}  // namespace

int main(int argc, char** argv) {
  return laws::on_devices(argc, argv, [](const spinconv::Container& container, const std::string& dtype, const std::string& device, bool is_first) {
    Comparison comparison(container, dtype, device);
    compare_all(comparison);
    const double cutoff = comparison.cutoff();
    if (is_first && dtype == "float32")
      comparison.by_cells(Crystal(Gas(1500, cutoff), cutoff, {{{24, 0, 0}, {0, 22, 0}, {0, 0, 30}}}, {true, false, false}), "many atoms");
  });
}
