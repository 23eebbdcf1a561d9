// The evaluator by kernels against the native one.
// SPDX-License-Identifier: MIT
#include "gas.h"
#include "images.h"
#include "laws.h"
#include "on_devices.h"

#include "gpu/evaluator.h"
#include "native/evaluator.h"

#include "spinconv/model.h"

#include <algorithm>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::difference;
using laws::Gas;
using laws::in_words;
using laws::largest;
using spinconv::Request;
using spinconv::Result;

/// What two evaluators say of a gas, apart from each other, in units of the largest number.
double apart(const Result& a, const Result& b) {
  double worst = 0.0;
  for (const auto part : {&Result::atom_energies, &Result::edge_gradients, &Result::centroid})
    if (!(a.*part).empty() || !(b.*part).empty()) worst = std::max(worst, difference(a.*part, b.*part) / std::max(1e-300, largest(b.*part)));
  return worst;
}

void compare(const spinconv::Container& container, const std::string& dtype, const std::string& device, const Gas& gas, const std::string& what, bool with_exchange) {
  auto ours = spinconv::gpu::make_evaluator(container, dtype, device, 0);
  auto native = spinconv::native::make_evaluator(container, "float64", 1);
  if (!native) return check(true, what + ": this processor has no native evaluator to compare with");
  laws::Images images(gas.graph().n_atoms, gas.n_ghosts);
  Request request;
  request.centroid = true;
  if (with_exchange) request.exchange = &images;
  Result result, again, truth;
  native->evaluate(gas.graph(), request, truth);
  ours->evaluate(gas.graph(), request, result);
  const double tolerance = dtype == "float64" ? 1e-11 : 1e-4, error = apart(result, truth);
  check(error < tolerance, what + ", " + dtype + " on " + ours->device() + ": as the native evaluator in float64, to " + in_words(error));
  ours->evaluate(gas.graph(), request, again);
  check(again.edge_gradients == result.edge_gradients && again.centroid == result.centroid && again.atom_energies == result.atom_energies, what + ": the same bits again");
}

}  // namespace

int main(int argc, char** argv) {
  return laws::on_devices(argc, argv, [](const spinconv::Container& container, const std::string& dtype, const std::string& device, bool) {
    const double cutoff = container.metadata.info.cutoff;
    compare(container, dtype, device, Gas(60, cutoff), "a gas", false);
    compare(container, dtype, device, Gas(60, cutoff, 20), "with ghosts", true);
    compare(container, dtype, device, Gas(1, cutoff), "an atom alone", false);
    if (dtype == "float32") compare(container, dtype, device, Gas(400, cutoff), "many atoms", false);
  });
}
