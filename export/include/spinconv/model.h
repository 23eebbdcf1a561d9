// The exported model file, read in C++. This header sees neither torch nor an engine: it is all that a plugin includes.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace spinconv {

namespace gpu {
class Device;
}
class OnDevice;

/// What is wrong with a file or with a request, in a sentence to hand to the engine's own error function.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a model file says of itself, and where it will be evaluated.
struct ModelInfo {
  int64_t format_version = 0;
  std::string kind;                // "harmonic", ...: a folder of equations in potential/
  double cutoff = 0.0;             // Å
  std::vector<int64_t> elements;   // atomic numbers the model knows
  bool conservative = false;       // forces are the gradient of the energy
  bool direct_forces = false;      // the model says forces itself: no gradient, no virial
  bool has_stages = false;         // can be evaluated on several processes
  int64_t n_blocks = 0;            // 0: the file does not say
  int64_t n_moments = 0;           // numbers per atom in an exchange between processes, at most
  std::string dtype;               // what it computes in: "float32" or "float64"
  std::string device;              // where: "cpu", "cuda:<index>" or "opencl:<index>"
  std::string evaluator;           // by what: "torch", or code of our own, "native x86-64-v4" for an instruction set, "native cuda" by kernels
  std::string metadata;            // spinconv.json, whole
  std::string weights_sha256;      // equal for equal weights, whatever else two files say
  // Of the training frames, rows in the order of `elements`; empty where the file does not say. See spinconv/extrapolation.h.
  std::vector<double> shortest_distances;   // [n_elements][n_elements], Å; infinite: this pair was never within the cutoff
  std::vector<int64_t> neighbor_range;      // [n_elements][2]: least and most neighbours within the cutoff
};

struct Options {
  std::string device = "cpu";      // "cpu", "cuda", "cuda:<index>", "opencl", "opencl:<index>" or "auto": CUDA where there is a device
  std::string dtype;               // "float32", "float64" or "" for the file's own
  std::string evaluator;           // "native", "torch", or "" for native where it has code for the device and the model
  int threads = 0;                 // within an evaluation on the CPU; 0: OMP_NUM_THREADS, or as many as there are processors (with torch, as it has)
  int process_on_node = 0;         // with "cuda", "opencl" and "auto", process p takes device p modulo the number of devices
  std::shared_ptr<gpu::Device> engine_device;   // computes there, by kernels: a device of the engine's own (spinconv/device.h), in place of `device`
  bool allow_nonconservative = false;   // accept a model whose forces are not the gradient of its energy
  bool allow_direct_forces = false;     // accept one that says forces itself, by whoever adds up Result::atom_forces
};

/// Neighbours within the cutoff as the model sees them; borrowed arrays, in the engine's order.
/// Edge e says: atom source[e] = j sends, atom target[e] = i receives, vectors[e] = x_j - x_i (+ periodic shift).
/// Both directions of a pair are listed. Edges longer than the cutoff are allowed and contribute nothing.
/// Ghosts are atoms that another process has. They receive only: an edge belongs to the process of the atom that sends.
struct Graph {
  int64_t n_atoms = 0;
  int64_t n_ghosts = 0;               // numbered after the atoms
  const int64_t* numbers = nullptr;   // atomic numbers, [n_atoms + n_ghosts]
  int64_t n_edges = 0;
  const int64_t* source = nullptr;    // [n_edges], below n_atoms
  const int64_t* target = nullptr;    // [n_edges], below n_atoms + n_ghosts
  const double* vectors = nullptr;    // Å, [n_edges][3]
};

/// How an engine with several processes moves numbers between atoms and their ghosts: rows[(n_atoms + n_ghosts) * width], one row an
/// atom. Every process makes the same calls in the same order, also one that has no atoms or has failed.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Copies the rows of atoms to those of their ghosts.
  virtual void to_ghosts(float* rows, int64_t width) = 0;
  virtual void to_ghosts(double* rows, int64_t width) = 0;
  /// Adds the rows of ghosts to those of their atoms.
  virtual void from_ghosts(float* rows, int64_t width) = 0;
  virtual void from_ghosts(double* rows, int64_t width) = 0;
  /// Which atoms others may have as ghosts, in order: from_ghosts brings something to these alone, and to_ghosts wants the rows of these alone. Null: any.
  virtual const std::vector<int32_t>* border() const { return nullptr; }
};

/// What to compute.
struct Request {
  static constexpr int64_t default_chunk = 100000;   // some 1.3 GB with 32 channels, two blocks, float32
  bool gradients = true;
  bool centroid = false;          // with gradients: Result::centroid too, at the cost of three more backward passes
  int64_t chunk = default_chunk;  // edges whose intermediate results are kept at a time, 0 for all; bounds memory, costs up to a forward pass
  Exchange* exchange = nullptr;   // needed when any process has ghosts
  std::function<std::string(int64_t)> name;   // of an atom, from its index in the graph, for errors; empty: the index
};

/// Filled by Model::evaluate; the vectors are reused from call to call.
/// With g = edge_gradients[e]: force on target += g, force on source -= g, virial (eV) -= outer(vectors[e], g).
struct Result {
  double energy = 0.0;                  // eV, of the n_atoms of this process, summed in double
  std::vector<double> atom_energies;    // eV, [n_atoms]
  std::vector<double> edge_gradients;   // dE/dvectors in eV/Å, [n_edges][3]; empty when not asked for, or of a model with direct forces
  std::vector<double> atom_forces;      // eV/Å, [n_atoms][3], when gradients are asked for of a model with direct forces; else empty
  /// Q[a][b] = sum over atoms i of (x_i - x_target)[a] dE_i/dvectors[b] in eV, [n_edges][3][3]; empty when not asked for. From it
  /// sum over i of (x_i - x_j)[a] dE_i/dx_j[b] = sum over edges from j of (Q - outer(vector, g)) - sum over edges into j of Q,
  /// the part of atom j in the virial that gives the heat flux.
  std::vector<double> centroid;
};

/// A loaded model.pt, which has computed its file's probe and found the numbers of the file. Throws Error. Not thread-safe: one object a thread.
class Model {
 public:
  explicit Model(const std::string& path, const Options& options = {});
  /// The bytes of a file; errors call it `name`.
  static Model from_bytes(const std::string& bytes, const Options& options = {}, const std::string& name = "the model");
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const ModelInfo& info() const;
  void evaluate(const Graph& graph, const Request& request, Result& result);
  /// For atoms whose positions and forces are to stay on a device (spinconv/on_device.h); null where the model is not computed by kernels.
  OnDevice* on_device();

 private:
  struct Implementation;
  explicit Model(std::unique_ptr<Implementation>);
  std::unique_ptr<Implementation> implementation_;
};

/// The bytes of a file. Throws Error where there is none, and for a folder, a pipe, a device, an empty file or one of more than 1 GiB.
std::string read_file(const std::string& path);

}  // namespace spinconv
