// Laws of a kind of model without stages, on files of the tests' own kind: test_kinds gradient.pt direct.pt
// SPDX-License-Identifier: MIT
#include "container.h"
#include "laws.h"

#include "spinconv/model.h"

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::check_refused;

/// The cluster of a file's probe, with all its neighbours within the cutoff.
struct Cluster {
  spinconv::Probe probe;
  std::vector<int64_t> source, target;
  std::vector<double> vectors;

  explicit Cluster(const std::string& path) {
    const auto bytes = spinconv::read_file(path);
    const auto metadata = spinconv::open_container(bytes, path).metadata;
    probe = metadata.probe;
    const auto n = static_cast<int64_t>(probe.numbers.size());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double r[3], square = 0.0;
        for (int a = 0; a < 3; ++a) r[a] = probe.positions[3 * j + a] - probe.positions[3 * i + a], square += r[a] * r[a];
        if (i == j || square > metadata.info.cutoff * metadata.info.cutoff) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), r, r + 3);
      }
    }
  }
  spinconv::Graph graph() const {
    spinconv::Graph graph;
    graph.n_atoms = static_cast<int64_t>(probe.numbers.size());
    graph.numbers = probe.numbers.data();
    graph.n_edges = static_cast<int64_t>(source.size());
    graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
    return graph;
  }
};

spinconv::Options in_float64(bool direct_forces = false) {
  spinconv::Options options;
  options.dtype = "float64";
  options.allow_direct_forces = direct_forces;
  return options;
}

void check_energies(const Cluster& cluster, const spinconv::Result& result) {
  double worst = 0.0;
  for (size_t i = 0; i < cluster.probe.energies.size(); ++i) worst = std::max(worst, std::abs(result.atom_energies[i] - cluster.probe.energies[i]));
  check(worst < 1e-12, "energies are those of Python to " + std::to_string(worst * 1e15) + "e-15 eV");
}

void check_forces(const Cluster& cluster, const std::vector<double>& forces) {
  double worst = 0.0, largest = 0.0;
  for (size_t k = 0; k < forces.size(); ++k) {
    worst = std::max(worst, std::abs(forces[k] + cluster.probe.gradients[k]));
    largest = std::max(largest, std::abs(forces[k]));
  }
  check(worst < 1e-12 && largest > 1e-3, "forces are those of Python to " + std::to_string(worst * 1e15) + "e-15 of " + std::to_string(largest) + " eV/Å");
}

void test_gradients(const std::string& path) {
  spinconv::Model model(path, in_float64());
  check(model.info().kind == "tiny" && !model.info().has_stages && !model.info().direct_forces && model.info().n_blocks == 0, "has no stages");
  const Cluster cluster(path);
  spinconv::Result result;
  model.evaluate(cluster.graph(), {}, result);
  check_energies(cluster, result);
  std::vector<double> forces(3 * cluster.probe.numbers.size(), 0.0);
  for (size_t e = 0; e < cluster.source.size(); ++e) {
    for (int a = 0; a < 3; ++a) {
      forces[3 * cluster.target[e] + a] += result.edge_gradients[3 * e + a];
      forces[3 * cluster.source[e] + a] -= result.edge_gradients[3 * e + a];
    }
  }
  check_forces(cluster, forces);
  check(result.atom_forces.empty(), "a gradient is of edges");
}

void test_direct_forces(const std::string& path) {
  check_refused("are direct, no gradient of any energy", [&] { spinconv::Model(path, in_float64()); });
  spinconv::Model model(path, in_float64(true));
  const Cluster cluster(path);
  spinconv::Result result;
  model.evaluate(cluster.graph(), {}, result);
  check_energies(cluster, result);
  check_forces(cluster, result.atom_forces);
  check(result.edge_gradients.empty(), "direct forces are of atoms");
}

void test_no_atoms_and_no_edges(const std::string& path) {
  spinconv::Model model(path, in_float64());
  spinconv::Result result;
  model.evaluate({}, {}, result);
  check(result.energy == 0.0 && result.atom_energies.empty(), "no atoms: no energy");
  const int64_t number = model.info().elements[0];
  spinconv::Graph alone;
  alone.n_atoms = 1;
  alone.numbers = &number;
  model.evaluate(alone, {}, result);
  check(std::isfinite(result.energy) && result.edge_gradients.empty(), "no edges: a finite energy");
}

void test_refusals(const std::string& path) {
  spinconv::Model model(path, in_float64());
  const Cluster cluster(path);
  auto graph = cluster.graph();
  spinconv::Request request;
  request.centroid = true;
  spinconv::Result result;
  check_refused("its kind of model has no virial of each atom for a heat flux; take a kind with stages", [&] { model.evaluate(graph, request, result); });
  --graph.n_atoms, ++graph.n_ghosts;
  check_refused("its kind of model is computed as a whole, on one process; run on one", [&] { model.evaluate(graph, {}, result); });
}

}  // namespace

int main(int n_arguments, char** arguments) try {
  if (n_arguments != 3) {
    std::fprintf(stderr, "test_kinds wants two files of the kind tiny: with gradients, and with direct forces\n");
    return 2;
  }
  test_gradients(arguments[1]);
  test_direct_forces(arguments[2]);
  test_no_atoms_and_no_edges(arguments[1]);
  test_refusals(arguments[1]);
  return laws::n_failed == 0 ? 0 : 1;
} catch (const spinconv::Error& error) {
  std::printf("FAILED  %s\n", error.what());
  return 1;
}
