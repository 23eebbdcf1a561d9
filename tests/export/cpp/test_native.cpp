// The native evaluator says what torch says, on every instruction set that this processor has: test_native model.pt
// SPDX-License-Identifier: MIT
#include "gas.h"
#include "laws.h"

#include "container.h"
#include "native/evaluator.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::difference;
using laws::Gas;
using laws::in_words;
using laws::largest;
using spinconv::Graph;
using spinconv::Request;
using spinconv::Result;

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
