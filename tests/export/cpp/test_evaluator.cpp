// Laws of the native evaluator that need no other: test_evaluator LEVEL FILE..., where LEVEL is "any", or what an emulated
// processor must have, perhaps "none".
// SPDX-License-Identifier: MIT
#include "gas.h"
#include "laws.h"

#include "container.h"
#include "native/evaluator.h"

#include "spinconv/model.h"

#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include <malloc.h>

namespace {

int64_t n_allocations = 0;

/// Of all that is allocated, by whatever function.
size_t bytes_in_use() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void* counted(void* memory) {
  ++n_allocations;
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return counted(std::malloc(bytes)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++n_allocations;
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace {

using laws::check;
using laws::difference;
using laws::Gas;
using laws::in_words;
using laws::largest;
using spinconv::Request;
using spinconv::Result;

/// The largest difference between gradients and central differences of the energy, of some edges, in units of the largest gradient. It errs by
/// `step`^2 (Å) times a third derivative, and by rounding over `step`.
double error_of_gradients(spinconv::native::Evaluator& evaluator, Gas gas, const Result& result, double step) {
  Request request;
  request.gradients = false;
  double worst = 0.0;
  const auto energy_at = [&](size_t k, double x) {
    const double before = gas.vectors[k];
    gas.vectors[k] = x;
    Result moved;
    evaluator.evaluate(gas.graph(), request, moved);
    gas.vectors[k] = before;
    return moved.energy;
  };
  for (size_t k = 0; k < gas.vectors.size(); k += gas.vectors.size() / 30 + 1) {
    const double x = gas.vectors[k], slope = (energy_at(k, x + step) - energy_at(k, x - step)) / (2 * step);
    worst = std::max(worst, std::abs(slope - result.edge_gradients[k]));
  }
  return worst / largest(result.edge_gradients);
}

void test_level(const spinconv::Container& container, const Gas& gas, const std::string& level) {
  auto evaluator = spinconv::native::make_evaluator(container, "float64", 1, level);
  if (!evaluator) return check(true, level + ": this processor does not have it");
  Request request;
  request.centroid = true;
  Result result, again;
  evaluator->evaluate(gas.graph(), request, result);
  const double error = error_of_gradients(*evaluator, gas, result, 1e-4);
  check(error < 1e-6, level + ": gradients are differences of the energy, to " + in_words(error) + " of the largest");
  evaluator->evaluate(gas.graph(), request, again);   // a graph as before, after the smaller tasks of above
  const auto before = std::make_pair(n_allocations, bytes_in_use());
  evaluator->evaluate(gas.graph(), request, again);
  const bool allocates_nothing = before == std::make_pair(n_allocations, bytes_in_use());
  check(allocates_nothing, level + ": a step like the last allocates nothing");
  check(again.edge_gradients == result.edge_gradients && again.centroid == result.centroid && again.atom_energies == result.atom_energies, level + ": the same bits again");
  auto team = spinconv::native::make_evaluator(container, "float64", 2, level);
  team->evaluate(gas.graph(), request, again);
  check(again.edge_gradients == result.edge_gradients && again.centroid == result.centroid && again.energy == result.energy, level + ": the same bits by two threads");
  auto single = spinconv::native::make_evaluator(container, "float32", 1, level);
  single->evaluate(gas.graph(), request, again);
  const double rounded = difference(again.edge_gradients, result.edge_gradients) / largest(result.edge_gradients);
  check(rounded < 1e-4, level + ": gradients in float32 are those in float64, to " + in_words(rounded) + " of the largest");
}

/// On an emulated processor, which is slow: the level is that, and right.
void test_emulated(const spinconv::Container& container, const std::string& wanted) {
  auto evaluator = spinconv::native::make_evaluator(container, "float32", 1);
  const std::string has = evaluator ? evaluator->level() : "none";
  check(wanted == has, "this processor has " + has + ", must have " + wanted);
  if (!evaluator) return;
  const Gas gas(12, container.metadata.info.cutoff);
  Result result;
  evaluator->evaluate(gas.graph(), {}, result);
  const double error = error_of_gradients(*evaluator, gas, result, 1e-2);
  check(error < 1e-2, has + ": gradients are differences of the energy, to " + in_words(error) + " of the largest");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string wanted = argv[1];
  for (int n = 2; n < argc; ++n) {
    const std::string bytes = spinconv::read_file(argv[n]);
    const auto container = spinconv::open_container(bytes, argv[n]);
    if (wanted != "any") {
      test_emulated(container, wanted);
      continue;
    }
    const Gas gas(60, container.metadata.info.cutoff);
    for (const auto level : {"x86-64-v4", "x86-64-v3", "armv8-a"}) test_level(container, gas, level);
  }
  return laws::n_failed == 0 ? 0 : 1;
}
