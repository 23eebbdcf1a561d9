// A training step of harmonic SpinConv on a CPU without torch's double backward: energies and gradients of a batch, and how a loss of both
// changes with every weight.
//
// A loss L of energies E_i of atoms and gradients g = dE/dr of the edges, E = sum_i E_i, changes with a weight w by
//
//   dL/dw = d/dw [ sum_i ebar_i E_i + v . dE/dr ]      with ebar_i = dL/dE_i and v = dL/dg held fixed,
//
// and v . dE/dr is the derivative of E along v. So one forward pass of numbers with a tangent (number.h) and one pass back over it give all of
// them, at some three times the cost of energy and gradient.
// SPDX-License-Identifier: MIT
#pragma once

#include "../../container.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace spinconv::native {

/// The structures of a batch as one graph; see Graph. Without ghosts.
template <class T>
struct TrainingGraph {
  int64_t n_atoms = 0, n_edges = 0;
  const int64_t* numbers = nullptr;
  const int64_t* source = nullptr;
  const int64_t* target = nullptr;
  const T* vectors = nullptr;   // Å, [n_edges][3]
};

/// The learned numbers of a model in torch's layout, in the order of the names that the step was made with.
template <class T>
using WeightArrays = const T* const*;

template <class T>
class TrainingStep {
 public:
  virtual ~TrainingStep() = default;
  virtual const char* level() const = 0;
  /// Energies of atoms, eV [n_atoms], and dE/dvectors of their sum, eV/Å [n_edges][3].
  virtual void evaluate(WeightArrays<T> weights, const TrainingGraph<T>& graph, double* energies, T* gradients) = 0;
  /// dL/dw of every weight, in the layout of `weights`, from dL/d(energies) [n_atoms] and dL/d(gradients) [n_edges][3].
  virtual void differentiate(WeightArrays<T> weights, const TrainingGraph<T>& graph, const double* of_energies, const T* of_gradients, T* const* of_weights) = 0;
};

/// For a model as a container has it, whose weights are those that change; null where this processor has no instruction set that there is
/// code for. Sums are taken in an order that depends on `threads` alone. Error for a name that is no weight of the model.
template <class T>
std::unique_ptr<TrainingStep<T>> make_training_step(const Container& container, const std::vector<std::string>& names, int threads, const std::string& level = "");

extern template std::unique_ptr<TrainingStep<float>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);
extern template std::unique_ptr<TrainingStep<double>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);

}  // namespace spinconv::native
