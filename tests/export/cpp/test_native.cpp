// The native evaluator says what torch says, on every instruction set that this processor has: test_native model.pt
// SPDX-License-Identifier: MIT
#include "laws.h"

#include "container.h"
#include "native/evaluator.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace {

using laws::check;
using spinconv::Graph;
using spinconv::Request;
using spinconv::Result;

/// Atoms here and there in a box, hydrogen, carbon and oxygen, no two of them too close; all edges within the cutoff. Of the last `n_ghosts`
/// this process only knows the edges from atoms to them.
struct Gas {
  std::vector<int64_t> numbers, source, target;
  std::vector<double> vectors;
  int64_t n_ghosts;

  Gas(int64_t n, double cutoff, int64_t ghosts = 0) : n_ghosts(ghosts) {
    std::mt19937 random(1);
    const double width = 1.9 * std::cbrt(static_cast<double>(n));
    const auto place = [&] { return width * static_cast<double>(random()) / 4294967296.0; };
    std::vector<double> x;
    while (static_cast<int64_t>(x.size()) < 3 * n) {
      const double at[3] = {place(), place(), place()};
      double closest = 1e9;
      for (size_t k = 0; k < x.size(); k += 3) closest = std::min(closest, std::hypot(x[k] - at[0], x[k + 1] - at[1], x[k + 2] - at[2]));
      if (closest < 0.9) continue;
      x.insert(x.end(), at, at + 3);
      numbers.push_back(std::vector<int64_t>{1, 6, 8}[numbers.size() % 3]);
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n - n_ghosts; ++j) {
        const double r[3] = {x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1], x[3 * j + 2] - x[3 * i + 2]};
        if (i == j || std::hypot(r[0], r[1], r[2]) > cutoff) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), r, r + 3);
      }
  }
  Graph graph() const {
    Graph graph;
    graph.n_ghosts = n_ghosts;
    graph.n_atoms = static_cast<int64_t>(numbers.size()) - n_ghosts;
    graph.numbers = numbers.data();
    graph.n_edges = static_cast<int64_t>(source.size());
    graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
    return graph;
  }
};

/// Two ghosts are images of the first two atoms.
class Images : public spinconv::Exchange {
 public:
  explicit Images(int64_t n_atoms) : n_atoms_(n_atoms) {}
  void to_ghosts(float* rows, int64_t width) override { copy(rows, width); }
  void to_ghosts(double* rows, int64_t width) override { copy(rows, width); }
  void from_ghosts(float* rows, int64_t width) override { add(rows, width); }
  void from_ghosts(double* rows, int64_t width) override { add(rows, width); }
  std::vector<int64_t> widths;

 private:
  template <class T>
  void copy(T* rows, int64_t width) {
    widths.push_back(width);
    std::copy_n(rows, 2 * width, rows + n_atoms_ * width);
  }
  template <class T>
  void add(T* rows, int64_t width) {
    widths.push_back(-width);
    for (int64_t k = 0; k < 2 * width; ++k) rows[k] += rows[n_atoms_ * width + k];
  }
  int64_t n_atoms_;
};

double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (const auto value : values) most = std::max(most, std::abs(value));
  return most;
}

double difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double most = 0.0;
  for (size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
  return most;
}

std::string in_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

struct Reference {
  spinconv::Model model;
  Result result;
  Images images;

  Reference(const std::string& path, const Gas& gas) : model(path, options()), images(gas.graph().n_atoms) {
    Request request;
    request.centroid = true;
    request.exchange = &images;
    model.evaluate(gas.graph(), request, result);
  }
  static spinconv::Options options() {
    spinconv::Options options;
    options.dtype = "float64";
    options.evaluator = "torch";
    return options;
  }
};

void test_level(const spinconv::Container& container, const Gas& gas, const Reference& reference, const std::string& level, const std::string& dtype) {
  auto evaluator = spinconv::native::make_evaluator(container, dtype, 1, level);
  if (!evaluator) return check(true, level + ": this processor does not have it");
  const double rounding = dtype == "float64" ? 1e-10 : 1e-4;   // of gradients: of the tables in float64, of the numbers in float32
  const std::string name = level + " " + dtype + ": ";
  Images images(gas.graph().n_atoms);
  Request request;
  request.centroid = true;
  request.exchange = &images;
  Result result;
  evaluator->evaluate(gas.graph(), request, result);
  const double of_energies = difference(result.atom_energies, reference.result.atom_energies);
  check(of_energies < rounding * std::max(1.0, largest(reference.result.edge_gradients)), name + "energies of atoms differ from torch's by " + in_words(of_energies) + " eV");
  const double of_gradients = difference(result.edge_gradients, reference.result.edge_gradients) / largest(reference.result.edge_gradients);
  check(of_gradients < rounding, name + "gradients differ from torch's by " + in_words(of_gradients) + " of the largest");
  const double of_centroid = difference(result.centroid, reference.result.centroid) / largest(reference.result.centroid);
  check(of_centroid < rounding, name + "centroid differs from torch's by " + in_words(of_centroid) + " of the largest");
  check(images.widths == reference.images.widths, name + "exchanges are those of torch, in order and width");

  Result again;
  evaluator->evaluate(gas.graph(), request, again);
  check(again.edge_gradients == result.edge_gradients && again.atom_energies == result.atom_energies && again.centroid == result.centroid, name + "the same bits again");
  request.chunk = 500;
  evaluator->evaluate(gas.graph(), request, again);
  check(again.edge_gradients == result.edge_gradients && again.centroid == result.centroid, name + "the same bits where chunks run again");
  auto team = spinconv::native::make_evaluator(container, dtype, 3, level);
  team->evaluate(gas.graph(), request, again);
  check(again.edge_gradients == result.edge_gradients && again.energy == result.energy, name + "the same bits by three threads");
  request.gradients = false;
  evaluator->evaluate(gas.graph(), request, again);
  check(again.atom_energies == result.atom_energies && again.edge_gradients.empty() && again.centroid.empty(), name + "energies alone are the same");
  evaluator->evaluate({}, {}, again);
  check(again.energy == 0.0 && again.atom_energies.empty(), name + "no atoms: no energy");
}

}  // namespace

int main(int argc, char** argv) {
  for (int n = 1; n < argc; ++n) {
    const std::string path = argv[n], bytes = spinconv::read_file(path);
    const auto container = spinconv::open_container(bytes, path);
    const Gas gas(60, container.metadata.info.cutoff, 2);
    const Reference reference(path, gas);
    for (const auto level : {"x86-64-v4", "x86-64-v3"})
      for (const auto dtype : {"float64", "float32"}) test_level(container, gas, reference, level, dtype);
  }
  return laws::n_failed == 0 && argc > 1 ? 0 : 1;
}
