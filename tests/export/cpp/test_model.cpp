// Laws of the C++ reader, on any model.pt that knows H, C and O: test_model model.pt
// SPDX-License-Identifier: MIT
#include "laws.h"

#include "spinconv/model.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

const spinconv::Request energy_only = [] {
  spinconv::Request request;
  request.gradients = false;
  return request;
}();

using laws::check;
using laws::check_refused;

/// A molecule-like cluster and its full neighbour list.
struct Cluster {
  std::vector<int64_t> numbers, source, target;
  std::vector<double> positions, vectors;

  explicit Cluster(double cutoff) {
    numbers = {6, 6, 8, 1, 1, 1, 1, 1, 1};
    positions = {0.00, -0.56, 0.01, -1.27, 0.26, -0.02, 1.13, 0.31, 0.03, 0.07, -1.18, 0.88, 0.05, -1.22, -0.91,
                 -2.13, -0.41, 0.04, -1.31, 0.93, 0.86, -1.29, 0.85, -0.93, 1.95, -0.21, -0.05};
    update(cutoff);
  }
  void update(double cutoff) {
    source.clear(), target.clear(), vectors.clear();
    const auto n = static_cast<int64_t>(numbers.size());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double r[3], square = 0.0;
        for (int a = 0; a < 3; ++a) r[a] = positions[3 * j + a] - positions[3 * i + a], square += r[a] * r[a];
        if (i == j || square > cutoff * cutoff) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), r, r + 3);
      }
    }
  }
  spinconv::Graph graph() const {
    spinconv::Graph graph;
    graph.n_atoms = static_cast<int64_t>(numbers.size());
    graph.numbers = numbers.data();
    graph.n_edges = static_cast<int64_t>(source.size());
    graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
    return graph;
  }
};

void test_forces_are_minus_the_gradient(spinconv::Model& model) {
  const double cutoff = model.info().cutoff, h = 1e-4;
  Cluster cluster(cutoff);
  spinconv::Result result, shifted;
  model.evaluate(cluster.graph(), {}, result);
  std::vector<double> forces(cluster.positions.size(), 0.0);
  for (size_t e = 0; e < cluster.source.size(); ++e) {
    for (int a = 0; a < 3; ++a) {
      forces[3 * cluster.target[e] + a] += result.edge_gradients[3 * e + a];
      forces[3 * cluster.source[e] + a] -= result.edge_gradients[3 * e + a];
    }
  }
  double worst = 0.0;
  for (size_t k = 0; k < forces.size(); ++k) {
    double energy[2];
    for (int side = 0; side < 2; ++side) {
      const double here = cluster.positions[k];
      cluster.positions[k] = here + (side ? h : -h);
      cluster.update(cutoff);
      model.evaluate(cluster.graph(), energy_only, shifted);
      energy[side] = shifted.energy;
      cluster.positions[k] = here;
    }
    worst = std::max(worst, std::abs(forces[k] + (energy[1] - energy[0]) / (2 * h)));
  }
  // central differences: h^2 times the third derivative, about 1e-8 x 10 eV/Å^3; rounding of the energy 1e-12 / h
  check(worst < 1e-6, "forces are minus the gradient to " + std::to_string(worst * 1e9) + "e-9 eV/Å");
}

void test_no_atoms_and_no_edges(spinconv::Model& model) {
  spinconv::Result result;
  model.evaluate({}, {}, result);
  check(result.energy == 0.0 && result.atom_energies.empty() && result.edge_gradients.empty(), "no atoms: no energy");

  const std::vector<int64_t> numbers = {8, 1};
  spinconv::Graph graph;
  graph.n_atoms = 2;
  graph.numbers = numbers.data();
  model.evaluate(graph, {}, result);
  check(result.atom_energies.size() == 2 && std::isfinite(result.energy) && result.edge_gradients.empty(), "no edges: finite energies");
}

void test_float32_is_close(const std::string& path, spinconv::Model& model) {
  spinconv::Options options;
  options.dtype = "float32";
  spinconv::Model single(path, options);
  const Cluster cluster(model.info().cutoff);
  spinconv::Result a, b;
  model.evaluate(cluster.graph(), {}, a);
  single.evaluate(cluster.graph(), {}, b);
  double worst = 0.0;
  for (size_t k = 0; k < a.edge_gradients.size(); ++k) worst = std::max(worst, std::abs(a.edge_gradients[k] - b.edge_gradients[k]));
  check(worst > 0.0 && worst < 1e-3, "float32 gradients differ from float64 by " + std::to_string(worst) + " eV/Å");
}

void test_bytes_are_the_file(const std::string& path, spinconv::Model& model) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  spinconv::Options options;
  options.dtype = "float64";
  auto other = spinconv::Model::from_bytes(bytes.str(), options);
  const Cluster cluster(model.info().cutoff);
  spinconv::Result a, b;
  model.evaluate(cluster.graph(), energy_only, a);
  other.evaluate(cluster.graph(), energy_only, b);
  check(a.energy == b.energy && a.edge_gradients.empty(), "from_bytes = from the file");
}

/// By chunks and in one piece is the same.
void test_chunks(spinconv::Model& model) {
  const Cluster cluster(model.info().cutoff);
  spinconv::Result whole, parts;
  spinconv::Request request;
  request.centroid = true;
  model.evaluate(cluster.graph(), request, whole);
  double worst = 0.0;
  for (const int64_t chunk : {1, 8, 20, 71}) {
    request.chunk = chunk;
    model.evaluate(cluster.graph(), request, parts);
    worst = std::max(worst, std::abs(parts.energy - whole.energy) / std::abs(whole.energy));
    for (size_t k = 0; k < whole.edge_gradients.size(); ++k) worst = std::max(worst, std::abs(parts.edge_gradients[k] - whole.edge_gradients[k]));
    for (size_t k = 0; k < whole.centroid.size(); ++k) worst = std::max(worst, std::abs(parts.centroid[k] - whole.centroid[k]));
  }
  check(worst < 1e-11, "in chunks as in one piece to " + std::to_string(worst * 1e15) + "e-15");
}

/// sum over i of (x_i - x_j) dE_i/dx_j from Result::centroid, against differences of the energies of atoms.
void test_centroid(spinconv::Model& model) {
  const double cutoff = model.info().cutoff, h = 1e-4;
  Cluster cluster(cutoff);
  spinconv::Result result, shifted;
  spinconv::Request request;
  request.centroid = true;
  model.evaluate(cluster.graph(), request, result);
  const size_t n = cluster.numbers.size();
  std::vector<double> of_atom(9 * n, 0.0);
  for (size_t e = 0; e < cluster.source.size(); ++e)
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) {
        const double q = result.centroid[9 * e + 3 * a + b];
        of_atom[9 * cluster.source[e] + 3 * a + b] += q - cluster.vectors[3 * e + a] * result.edge_gradients[3 * e + b];
        of_atom[9 * cluster.target[e] + 3 * a + b] -= q;
      }
  double worst = 0.0, largest = 0.0;
  for (size_t j = 0; j < n; ++j)
    for (int b = 0; b < 3; ++b) {
      std::vector<double> energies[2];
      const double here = cluster.positions[3 * j + b];
      for (int side = 0; side < 2; ++side) {
        cluster.positions[3 * j + b] = here + (side ? h : -h);
        cluster.update(cutoff);
        model.evaluate(cluster.graph(), energy_only, shifted);
        energies[side] = shifted.atom_energies;
      }
      cluster.positions[3 * j + b] = here;
      for (int a = 0; a < 3; ++a) {
        double expected = 0.0;
        for (size_t i = 0; i < n; ++i)
          expected += (cluster.positions[3 * i + a] - cluster.positions[3 * j + a]) * (energies[1][i] - energies[0][i]) / (2 * h);
        worst = std::max(worst, std::abs(of_atom[9 * j + 3 * a + b] - expected));
        largest = std::max(largest, std::abs(expected));
      }
    }
  check(worst < 1e-5 && largest > 0.1, "first moments of the energies to " + std::to_string(worst * 1e9) + "e-9 of " + std::to_string(largest) + " eV");
}

void test_refusals(const std::string& path, spinconv::Model& model) {
  check_refused("cannot open model file nowhere.pt: No such file", [] { spinconv::Model("nowhere.pt"); });
  check_refused("/ must be a model file, is a folder", [] { spinconv::Model("/"); });
  check_refused("must be a model file written by `spinconv export`", [] { spinconv::Model::from_bytes("not an archive"); });
  check_refused("`dtype` must be float32 or float64, got half", [&] { spinconv::Model(path, {"cpu", "half"}); });
  check_refused("`device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got gpu", [&] { spinconv::Model(path, {"gpu", ""}); });
  const std::vector<int64_t> numbers = {79};
  spinconv::Graph graph;
  graph.n_atoms = 1;
  graph.numbers = numbers.data();
  spinconv::Result result;
  check_refused("the model does not know element Au (of atom 0, counted from 0); it knows H", [&] { model.evaluate(graph, energy_only, result); });
}

void print_times(spinconv::Model& model) {
  const Cluster cluster(model.info().cutoff);
  spinconv::Result result;
  std::printf("ms per evaluation, from the first:");
  for (int step = 0; step < 12; ++step) {
    const auto start = std::chrono::steady_clock::now();
    model.evaluate(cluster.graph(), {}, result);
    std::printf(" %.2f", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::printf("\n");
}

}  // namespace

int main(int n_arguments, char** arguments) try {
  if (n_arguments != 2) {
    std::fprintf(stderr, "test_model wants one model.pt that knows H, C and O\n");
    return 2;
  }
  const std::string path = arguments[1];
  spinconv::Options options;
  options.dtype = "float64";
  spinconv::Model model(path, options);
  print_times(model);
  test_forces_are_minus_the_gradient(model);
  test_no_atoms_and_no_edges(model);
  test_float32_is_close(path, model);
  test_bytes_are_the_file(path, model);
  test_chunks(model);
  test_centroid(model);
  test_refusals(path, model);
  return laws::n_failed == 0 ? 0 : 1;
} catch (const spinconv::Error& error) {
  std::printf("FAILED  %s\n", error.what());
  return 1;
}
