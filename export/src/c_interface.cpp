// SPDX-License-Identifier: MIT
#include "spinconv/c_interface.h"

#include "choice.h"
#include "python_lock.h"

#include "spinconv/on_device.h"

#include <algorithm>
#include <array>

#define SPINCONV_SHOWN extern "C" __attribute__((visibility("default")))

struct spinconv_model {
  spinconv::Model model;
  spinconv::Result result;   // its memory is kept
};

namespace {

thread_local std::string last_error;
thread_local bool last_is_not_native = false;

/// What `step` gives, or `failure` where it throws.
template <class Answer, class Step>
Answer in_words(Answer failure, Step&& step) {
  try {
    return step();
  } catch (const std::exception& error) {
    last_error = error.what();
    last_is_not_native = dynamic_cast<const spinconv::NotNative*>(&error) != nullptr;
    return failure;
  }
}

void add_up(const spinconv::Graph& graph, const spinconv::Result& result, double* forces, double* virial) {
  std::fill_n(virial, 9, 0.0);
  std::fill_n(forces, 3 * graph.n_atoms, 0.0);
  std::copy(result.atom_forces.begin(), result.atom_forces.end(), forces);
  if (result.edge_gradients.empty()) return;
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double *g = &result.edge_gradients[3 * e], *r = graph.vectors + 3 * e;
    for (int a = 0; a < 3; ++a) {
      forces[3 * graph.target[e] + a] += g[a];
      forces[3 * graph.source[e] + a] -= g[a];
      for (int b = 0; b < 3; ++b) virial[3 * a + b] -= r[a] * g[b];
    }
  }
}

}  // namespace

SPINCONV_SHOWN const char* spinconv_error() { return last_error.c_str(); }

SPINCONV_SHOWN int spinconv_error_is_not_native() { return last_is_not_native; }

SPINCONV_SHOWN spinconv_model* spinconv_open(const char* bytes, size_t size, const char* name, const char* dtype, const char* device, const char* evaluator,
                                             int threads) {
  return in_words<spinconv_model*>(nullptr, [&] {
    spinconv::Options options;
    options.dtype = dtype, options.device = device, options.evaluator = evaluator, options.threads = threads;
    options.allow_nonconservative = options.allow_direct_forces = true;
    return new spinconv_model{spinconv::Model::from_bytes(std::string(bytes, size), options, name), {}};
  });
}

SPINCONV_SHOWN void spinconv_close(spinconv_model* model) { delete model; }

SPINCONV_SHOWN const char* spinconv_evaluator(const spinconv_model* model) { return model->model.info().evaluator.c_str(); }

SPINCONV_SHOWN const char* spinconv_device(const spinconv_model* model) { return model->model.info().device.c_str(); }

SPINCONV_SHOWN int spinconv_evaluate(spinconv_model* model, int64_t n_atoms, const int64_t* numbers, int64_t n_edges, const int64_t* source, const int64_t* target,
                                     const double* vectors, double* energies, double* forces, double* virial) {
  return in_words(0, [&] {
    spinconv::Graph graph;
    graph.n_atoms = n_atoms, graph.numbers = numbers;
    graph.n_edges = n_edges, graph.source = source, graph.target = target, graph.vectors = vectors;
    model->model.evaluate(graph, {}, model->result);
    std::copy(model->result.atom_energies.begin(), model->result.atom_energies.end(), energies);
    add_up(graph, model->result, forces, virial);
    return 1;
  });
}

SPINCONV_SHOWN int spinconv_finds_neighbors(spinconv_model* model) { return model->model.on_device() != nullptr; }

SPINCONV_SHOWN int spinconv_evaluate_atoms(spinconv_model* model, int64_t n_atoms, const int64_t* numbers, const double* positions, const double* cell, const int* periodic,
                                           double* energies, double* forces, double* virial, char* outside) {
  return in_words(0, [&] {
    spinconv::OnDevice* atoms = model->model.on_device();
    if (atoms == nullptr) throw spinconv::Error("the model is not computed by kernels on a device, which would find neighbours there");
    const spinconv::WithoutPythonLock without_lock;
    std::array<std::array<double, 3>, 3> vectors;
    for (int k = 0; k < 9; ++k) vectors[k / 3][k % 3] = cell[k];
    atoms->set_atoms(n_atoms, 0, numbers);
    atoms->set_cell(vectors, {periodic[0] != 0, periodic[1] != 0, periodic[2] != 0});
    atoms->write_positions(positions);
    atoms->evaluate({});
    std::vector<double> here;
    atoms->read_energies(here);
    std::copy(here.begin(), here.end(), energies);
    atoms->read_forces(here);
    std::copy(here.begin(), here.end(), forces);
    const auto w = atoms->read_virial();
    const int places[9] = {0, 3, 4, 3, 1, 5, 4, 5, 2};   // xx yy zz xy xz yz
    for (int k = 0; k < 9; ++k) virial[k] = w[places[k]];
    if (outside == nullptr) return 1;
    std::vector<char> marks;
    atoms->read_outside(marks);
    std::copy(marks.begin(), marks.end(), outside);
    return 1;
  });
}

SPINCONV_SHOWN int spinconv_has_gpu() { return spinconv::has_gpu(); }
