// SPDX-License-Identifier: MIT
#include "probe.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace spinconv {
namespace {

// Of the largest energy or gradient; what is wrong is wrong in its first digits. export/probe.py has the same.
constexpr double share_in_float64 = 1e-8, share_in_float32 = 1e-3;
constexpr double small = 0.1;   // eV, eV/Å: what numbers are compared with where all are smaller

/// All pairs of its atoms within a cutoff.
struct Edges {
  std::vector<int64_t> source, target;
  std::vector<double> vectors;

  Edges(const Probe& probe, double cutoff) {
    const auto n = static_cast<int64_t>(probe.numbers.size());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double r[3], squared = 0.0;
        for (int a = 0; a < 3; ++a) r[a] = probe.positions[3 * j + a] - probe.positions[3 * i + a], squared += r[a] * r[a];
        if (i == j || squared >= cutoff * cutoff) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), r, r + 3);
      }
  }

  Graph graph(const Probe& probe) const {
    Graph graph;
    graph.n_atoms = static_cast<int64_t>(probe.numbers.size());
    graph.numbers = probe.numbers.data();
    graph.n_edges = static_cast<int64_t>(source.size());
    graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
    return graph;
  }

  /// dE/dx, [n_atoms][3].
  std::vector<double> gradients(const Result& result, size_t n_atoms) const {
    std::vector<double> sum(3 * n_atoms, 0.0);
    for (size_t k = 0; k < result.atom_forces.size(); ++k) sum[k] = -result.atom_forces[k];
    for (size_t k = 0; k < result.edge_gradients.size(); ++k) {
      sum[3 * target[k / 3] + k % 3] -= result.edge_gradients[k];
      sum[3 * source[k / 3] + k % 3] += result.edge_gradients[k];
    }
    return sum;
  }
};

/// What the network adds to the energies of isolated atoms, which may be thousands of eV.
std::vector<double> without_references(const Metadata& metadata, std::vector<double> energies) {
  const auto& elements = metadata.info.elements;
  for (size_t i = 0; i < energies.size(); ++i) {
    const auto place = std::find(elements.begin(), elements.end(), metadata.probe.numbers[i]) - elements.begin();
    energies[i] -= metadata.reference_energies[place];
  }
  return energies;
}

/// Largest difference of `found` from `said`, and the largest of these.
struct Difference {
  double apart = 0.0, largest = small;

  Difference(const std::vector<double>& found, const std::vector<double>& said) {
    for (size_t k = 0; k < said.size(); ++k) {
      const double here = k < found.size() ? std::abs(found[k] - said[k]) : NAN;
      if (!(here <= apart)) apart = here;   // what is no number stays
      if (std::isnan(apart)) return;
      largest = std::max(largest, std::abs(said[k]));
    }
  }
  bool is_within(double share) const { return apart <= share * largest; }
};

std::string short_form(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

}  // namespace

void check_probe(const Metadata& metadata, const std::string& dtype, Evaluator& evaluator) {
  const auto& probe = metadata.probe;
  const Edges edges(probe, metadata.info.cutoff);
  Result result;
  evaluator.evaluate(edges.graph(probe), {}, result);
  const Difference energies(without_references(metadata, result.atom_energies), without_references(metadata, probe.energies));
  const Difference gradients(edges.gradients(result, probe.numbers.size()), probe.gradients);
  const double share = dtype == "float64" ? share_in_float64 : share_in_float32;
  if (dtype == "float32" && !metadata.info.conservative) return;   // energies of the published network leap where roundings decide
  if (energies.is_within(share) && gradients.is_within(share)) return;
  throw Error("gives other numbers here than where it was exported: the energies of its probe differ by " + short_form(energies.apart) + " eV, the forces by " +
              short_form(gradients.apart) + " eV/Å (" + evaluator.name() + ", " + dtype + "); export it again, or look for another build of spinconv for this machine");
}

}  // namespace spinconv
