// SPDX-License-Identifier: MIT
#include "at_once.h"

#include "plain_torch.h"

#include "spinconv/distances.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

namespace spinconv {
namespace {

using torch::Tensor;
using Arguments = std::vector<c10::IValue>;   // numbers, edge_index, vectors

Tensor upload(const Stages& stages, const int64_t* data, int64_t n) {
  return torch::from_blob(const_cast<int64_t*>(data), {n}, torch::kInt64).to(stages.device, torch::kInt64, false, true);
}

Tensor upload_vectors(const Stages& stages, const double* data, int64_t n) {
  return torch::from_blob(const_cast<double*>(data), {n, 3}, torch::kFloat64).to(stages.device, stages.dtype);
}

/// `rows` as doubles into `to`, which has as many.
void store(const Tensor& rows, std::vector<double>& to) {
  if (rows.numel() != static_cast<int64_t>(to.size())) throw Error("the model gave numbers of another count than atoms or edges; export it again");
  const auto here = rows.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  std::copy_n(here.const_data_ptr<double>(), to.size(), to.data());
}

void check_request(const Graph& graph, const Request& request) {
  if (request.exchange != nullptr || graph.n_ghosts > 0) {
    throw Error("its kind of model is computed as a whole, on one process; run on one, or take a kind with stages, such as harmonic");
  }
  if (request.centroid) throw Error("its kind of model has no virial of each atom for a heat flux; take a kind with stages, such as harmonic");
}

void clear(const Graph& graph, const Request& request, bool direct_forces, Result& result) {
  result.energy = 0.0;
  result.atom_energies.assign(graph.n_atoms, 0.0);
  result.edge_gradients.assign(request.gradients && !direct_forces ? 3 * graph.n_edges : 0, 0.0);
  result.atom_forces.assign(request.gradients && direct_forces ? 3 * graph.n_atoms : 0, 0.0);
  result.centroid.clear();
}

/// What a kind has for both at once, or one after the other.
Tensor with_forces(const Stages& stages, const Arguments& arguments, Result& result) {
  if (!stages.equations.has("energies_and_forces")) {
    store(stages.equations("forces", arguments).toTensor(), result.atom_forces);
    return stages.equations("energies", arguments).toTensor();
  }
  const auto both = stages.equations("energies_and_forces", arguments).toTuple();
  store(both->elements()[1].toTensor(), result.atom_forces);
  return both->elements()[0].toTensor();
}

Tensor with_gradients_of(const Stages& stages, const Arguments& arguments, Result& result) {
  if (!stages.equations.has("energies_and_gradients")) {
    const auto vectors = arguments.back().toTensor().requires_grad_(true);
    const auto energies = stages.equations("energies", arguments).toTensor();
    store(torch::autograd::grad({energies.sum()}, {vectors})[0], result.edge_gradients);
    return energies;
  }
  const auto both = stages.equations("energies_and_gradients", arguments).toTuple();
  store(both->elements()[1].toTensor(), result.edge_gradients);
  return both->elements()[0].toTensor();
}

}  // namespace

void try_at_once(const Stages& stages, int64_t element, bool direct_forces) {
  Graph alone;
  alone.n_atoms = 1;
  alone.numbers = &element;
  Result result;
  evaluate_at_once(stages, alone, {}, direct_forces, result);
}

void evaluate_at_once(const Stages& stages, const Graph& graph, const Request& request, bool direct_forces, Result& result) {
  const PlainTorch plain;
  check_request(graph, request);
  check_distances(graph, request.name);
  clear(graph, request, direct_forces, result);
  if (graph.n_atoms == 0) return;
  const auto numbers = upload(stages, graph.numbers, graph.n_atoms);
  const auto edge_index = torch::stack({upload(stages, graph.source, graph.n_edges), upload(stages, graph.target, graph.n_edges)});
  const bool has_gradient = request.gradients && !direct_forces && graph.n_edges > 0;
  at::AutoGradMode with_gradients(has_gradient);
  const auto vectors = upload_vectors(stages, graph.vectors, graph.n_edges);
  const auto energies = request.gradients && direct_forces ? with_forces(stages, {numbers, edge_index, vectors}, result)
                        : has_gradient                     ? with_gradients_of(stages, {numbers, edge_index, vectors}, result)
                                                           : stages.equations("energies", {numbers, edge_index, vectors}).toTensor();
  store(energies, result.atom_energies);
  for (const auto energy : result.atom_energies) result.energy += energy;
}

}  // namespace spinconv
