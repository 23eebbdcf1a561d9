// A model on a device where atoms and forces stay: neighbours are found there too, and nothing of an atom or an edge goes over the bus but what is asked for.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/device.h"
#include "spinconv/model.h"

#include <array>
#include <cstdint>
#include <vector>

namespace spinconv {

/// Neighbours that an engine has listed, whose periodic images have positions of their own: rows of `positions`.
struct Candidates {
  int64_t n_rows = 0;
  const int32_t* node = nullptr;    // [n_rows]: the atom or ghost that has this row, -1 for none
  const int32_t* row = nullptr;     // [n_atoms]: where an atom is itself
  const int32_t* first = nullptr;   // [n_atoms + 1]: where in `rows` those of an atom begin
  const int32_t* rows = nullptr;    // what may be within the cutoff of an atom, each image once; what is beyond it is passed over
};

/// What one evaluation of atoms on a device gives. Numbers are in `wide`: double where the device has it, else float. Not thread-safe.
class OnDevice {
 public:
  virtual ~OnDevice() = default;

  virtual gpu::Device& device() = 0;
  /// Whether `wide` is double.
  virtual bool has_double() const = 0;

  /// The atoms, then the ghosts, as in Graph: atomic numbers [n_atoms + n_ghosts]. Error for an element that the model does not know.
  virtual void set_atoms(int64_t n_atoms, int64_t n_ghosts, const int64_t* numbers) = 0;
  /// From now on neighbours are those listed, or (without ghosts) whatever is within the cutoff, by cells, where rows are the atoms. Of a cell, in Å, rows
  /// are the lattice vectors; those of directions that are not periodic are not read. The arrays may change afterwards.
  virtual void set_candidates(const Candidates& candidates) = 0;
  virtual void set_cell(const std::array<std::array<double, 3>, 3>& cell, const std::array<bool, 3>& periodic) = 0;

  /// In Å, wide [rows][3]: for an engine's kernels to write, or from the host, times `unit`.
  virtual const gpu::Memory& positions() = 0;
  virtual void write_positions(const double* positions, double unit = 1.0) = 0;

  /// Finds the neighbours and computes; `request.chunk` is not read. When it returns, all has been launched, and no more than that is known to have
  /// happened; but positions that are no number, and atoms on top of each other (distances.h), have thrown Error.
  virtual void evaluate(const Request& request) = 0;

  /// The exchanges of an evaluation and nothing else, by a process that cannot evaluate: the others wait for it. Of so many atoms and ghosts, set or not.
  virtual void take_part(int64_t n_atoms, int64_t n_ghosts, const Request& request) = 0;

  /// eV, wide [n_atoms]; eV/Å, wide [n_atoms + n_ghosts][3].
  virtual const gpu::Memory& energies() = 0;
  virtual const gpu::Memory& forces() = 0;

  // To the host, after all that was launched has happened.
  virtual double read_energy() = 0;
  virtual void read_energies(std::vector<double>& energies) = 0;
  virtual void read_forces(std::vector<double>& forces) = 0;
  /// eV, -sum of vector (x) dE/dvector made symmetric, xx yy zz xy xz yz: in all, and half of every edge to each of its ends, [n_atoms + n_ghosts][6].
  virtual std::array<double, 6> read_virial() = 0;
  virtual void read_virials(std::vector<double>& virials) = 0;
  /// eV, W[a][b] = sum over atoms i of (x_i - x_j)[a] dE_i/dx_j[b], [n_atoms + n_ghosts][3][3]; asked for by `request.centroid`.
  virtual void read_centroid_virials(std::vector<double>& virials) = 0;
  /// Whether an atom is outside what the model was trained on (extrapolation.h), [n_atoms]; how many are.
  virtual int64_t read_outside(std::vector<char>& outside) = 0;
  virtual int64_t count_outside() = 0;
  /// The edges within the cutoff, on the host: for what is to be said of them. Borrowed until the next call.
  virtual Graph read_graph() = 0;
};

}  // namespace spinconv
