// Where a structure leaves what models were trained on: pairs closer, or numbers of neighbours other, than in all training frames.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace spinconv {

/// An atom outside. `severity` is above 2 for a pair of elements that training never had within the cutoff, above 1 for one that it had
/// at longer distances only, else up to 1 for a number of neighbours; 0 for none.
struct Stray {
  double severity = 0.0;
  int64_t atom = -1, number = 0;              // node of the graph, atomic number
  int64_t neighbor = -1, neighbor_number = 0; // of a pair
  double distance = 0.0, shortest = 0.0;      // of a pair: here, and in training, Å
  int64_t n_neighbors = 0, least = 0, most = 0;   // here, and in training
  double cutoff = 0.0;                        // Å

  /// In a sentence, with the engine's names of the two atoms ("5", "particle 4").
  std::string in_words(const std::string& atom_name, const std::string& neighbor_name) const;
};

/// Compares graphs with what model files say of their training frames. Its buffers are kept from look to look.
class Watch {
 public:
  /// From now on atoms are outside, too, where they are outside what this model was trained on.
  void add(const ModelInfo& info);

  /// False where no file says what it was trained on, as those written before they could.
  bool knows() const { return !ranges_.empty(); }

  /// Looks at the atoms of this process, of which the graph has all edges that they send. Every model must know all elements.
  void look(const Graph& graph);

  /// Of the last look: whether an atom is outside what any of the models was trained on (0 or 1), [n_atoms]; how many are; the worst.
  const std::vector<char>& outside() const { return outside_; }
  int64_t n_outside() const { return n_outside_; }
  const Stray& worst() const { return worst_; }

 private:
  /// What one file says, element by element.
  struct Range {
    double cutoff_squared = 0.0;
    std::vector<int64_t> elements;             // atomic numbers
    std::array<int, 128> place{};              // of an atomic number among the elements
    std::vector<double> shortest_squared;      // [n_elements][n_elements], Å^2; infinite: never seen
    std::vector<int64_t> neighbors;            // [n_elements][2], least and most
  };

  static Range range_of(const ModelInfo& info);
  void look_at_pairs(const Range& range, const Graph& graph);
  void look_at_counts(const Range& range, const Graph& graph);
  void keep_if_worse(const Stray& stray);

  std::vector<Range> ranges_;
  std::vector<int64_t> counts_;   // [n_atoms]
  std::vector<char> outside_;     // [n_atoms]
  int64_t n_outside_ = 0;
  Stray worst_;
};

}  // namespace spinconv
