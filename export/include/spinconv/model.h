// The exported model file, read in C++. This header sees neither torch nor an engine: it is all that a plugin includes.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace spinconv {

/// What is wrong with a file or with a request, in a sentence to hand to the engine's own error function.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a model file says of itself.
struct ModelInfo {
  int64_t format_version = 0;
  std::string kind;                // "harmonic"
  double cutoff = 0.0;             // Å
  std::vector<int64_t> elements;   // atomic numbers the model knows
  bool conservative = false;       // forces are the gradient of the energy
  std::string dtype;               // what it computes in unless told otherwise: "float32" or "float64"
  std::string metadata;            // spinconv.json, whole
};

struct Options {
  std::string device = "cpu";      // "cpu", "cuda" or "cuda:<index>"
  std::string dtype;               // "float32", "float64" or "" for the file's own
};

/// Neighbours within the cutoff as the model sees them; borrowed arrays, in the engine's order.
/// Edge e says: atom source[e] = j sends, atom target[e] = i receives, vectors[e] = x_j - x_i (+ periodic shift).
/// Both directions of a pair are listed. Edges longer than the cutoff are allowed and contribute nothing.
struct Graph {
  int64_t n_atoms = 0;
  const int64_t* numbers = nullptr;   // atomic numbers, [n_atoms]
  int64_t n_edges = 0;
  const int64_t* source = nullptr;    // [n_edges]
  const int64_t* target = nullptr;    // [n_edges]
  const double* vectors = nullptr;    // Å, [n_edges][3]
};

/// Filled by Model::evaluate; the vectors are reused from call to call.
/// With g = edge_gradients[e]: force on target += g, force on source -= g, virial (eV) -= outer(vectors[e], g).
struct Result {
  double energy = 0.0;                  // eV, summed in double
  std::vector<double> atom_energies;    // eV, [n_atoms]
  std::vector<double> edge_gradients;   // dE/dvectors in eV/Å, [n_edges][3]; empty when not asked for
};

/// A loaded model.pt. Throws Error. Not thread-safe: one object a thread.
class Model {
 public:
  explicit Model(const std::string& path, const Options& options = {});
  static Model from_bytes(const std::string& bytes, const Options& options = {});
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelInfo& info() const;
  void evaluate(const Graph& graph, bool with_gradients, Result& result);

 private:
  struct Implementation;   // everything that knows torch
  explicit Model(std::unique_ptr<Implementation>);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace spinconv
