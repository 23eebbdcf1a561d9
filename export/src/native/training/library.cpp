// The training step as a library that Python loads by ctypes (potential/harmonic/training_step.py).
// SPDX-License-Identifier: MIT
#include "training_step.h"

#include "spinconv/model.h"

#include <cstring>
#include <exception>
#include <sstream>

#define SPINCONV_PUBLIC extern "C" __attribute__((visibility("default")))

namespace {

using namespace spinconv;

struct Step {
  std::unique_ptr<native::TrainingStep<float>> of_float;
  std::unique_ptr<native::TrainingStep<double>> of_double;
};

std::vector<std::string> lines_of(const char* text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Runs `task`; what it throws is written to `problem` [size], and the result is false.
template <class Task>
bool succeeds(char* problem, int64_t size, Task&& task) {
  try {
    task();
    return true;
  } catch (const std::exception& error) {
    std::strncpy(problem, error.what(), size - 1);
    problem[size - 1] = '\0';
    return false;
  }
}

template <class T>
native::TrainingGraph<T> graph_of(int64_t n_atoms, int64_t n_edges, const int64_t* numbers, const int64_t* edge_index, const void* vectors) {
  return {n_atoms, n_edges, numbers, edge_index, edge_index + n_edges, static_cast<const T*>(vectors)};
}

}  // namespace

/// A step for the model whose arrays stand in `arrays` (safetensors, `n_bytes`), or null with a `problem`. `names`: of its weights, a line each.
/// An empty `level` is the processor's best.
SPINCONV_PUBLIC void* spinconv_training_new(int is_double, const char* arrays, int64_t n_bytes, const char* names, double cutoff, double scale, double average_neighbors,
                                            int64_t n_blocks, int64_t n_elements, const int64_t* elements, const double* reference_energies, int threads,
                                            const char* level, char* problem, int64_t size) {
  auto step = std::make_unique<Step>();
  const bool is_made = succeeds(problem, size, [&] {
    Container container;
    container.tensors = read_safetensors({arrays, static_cast<size_t>(n_bytes)});
    auto& metadata = container.metadata;
    metadata.info.cutoff = cutoff, metadata.info.n_blocks = n_blocks;
    metadata.info.elements.assign(elements, elements + n_elements);
    metadata.reference_energies.assign(reference_energies, reference_energies + n_elements);
    metadata.scale = scale, metadata.average_neighbors = average_neighbors;
    if (is_double) step->of_double = native::make_training_step<double>(container, lines_of(names), threads, level);
    else step->of_float = native::make_training_step<float>(container, lines_of(names), threads, level);
    if (!step->of_double && !step->of_float) throw Error("this processor has no instruction set that there is code for");
  });
  return is_made ? step.release() : nullptr;
}

SPINCONV_PUBLIC void spinconv_training_delete(void* step) { delete static_cast<Step*>(step); }

SPINCONV_PUBLIC const char* spinconv_training_level(const void* step) {
  const auto& made = *static_cast<const Step*>(step);
  return made.of_float ? made.of_float->level() : made.of_double->level();
}

/// See TrainingStep::evaluate; `edge_index` [2][n_edges].
SPINCONV_PUBLIC bool spinconv_training_evaluate(void* step, const void* const* weights, int64_t n_atoms, int64_t n_edges, const int64_t* numbers, const int64_t* edge_index,
                                                const void* vectors, double* energies, void* gradients, char* problem, int64_t size) {
  auto& made = *static_cast<Step*>(step);
  return succeeds(problem, size, [&] {
    if (made.of_float)
      made.of_float->evaluate(reinterpret_cast<const float* const*>(weights), graph_of<float>(n_atoms, n_edges, numbers, edge_index, vectors), energies, static_cast<float*>(gradients));
    else
      made.of_double->evaluate(reinterpret_cast<const double* const*>(weights), graph_of<double>(n_atoms, n_edges, numbers, edge_index, vectors), energies, static_cast<double*>(gradients));
  });
}

/// See TrainingStep::differentiate; `of_weights` are zeros before.
SPINCONV_PUBLIC bool spinconv_training_differentiate(void* step, const void* const* weights, int64_t n_atoms, int64_t n_edges, const int64_t* numbers,
                                                     const int64_t* edge_index, const void* vectors, const double* of_energies, const void* of_gradients, void* const* of_weights,
                                                     char* problem, int64_t size) {
  auto& made = *static_cast<Step*>(step);
  return succeeds(problem, size, [&] {
    if (made.of_float)
      made.of_float->differentiate(reinterpret_cast<const float* const*>(weights), graph_of<float>(n_atoms, n_edges, numbers, edge_index, vectors), of_energies,
                                   static_cast<const float*>(of_gradients), reinterpret_cast<float* const*>(of_weights));
    else
      made.of_double->differentiate(reinterpret_cast<const double* const*>(weights), graph_of<double>(n_atoms, n_edges, numbers, edge_index, vectors), of_energies,
                                    static_cast<const double*>(of_gradients), reinterpret_cast<double* const*>(of_weights));
  });
}
