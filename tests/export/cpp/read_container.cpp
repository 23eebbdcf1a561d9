// Tells in JSON what the C++ reader finds in model files: read_container model.pt [...]. A line a file; the test that compares it with what
// Python finds is tests/export/test_container_cpp.py.
// SPDX-License-Identifier: MIT
#include "container.h"
#include "sha256.h"

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace {

/// As a text of JSON.
std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

void print(const std::vector<double>& values) {
  std::printf("[");
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) std::printf("%s%.17g", i > 0 ? ", " : "", values[i]);
    else std::printf("%snull", i > 0 ? ", " : "");
  }
  std::printf("]");
}

void print(const std::vector<int64_t>& values) {
  std::printf("[");
  for (size_t i = 0; i < values.size(); ++i) std::printf("%s%lld", i > 0 ? ", " : "", static_cast<long long>(values[i]));
  std::printf("]");
}

template <class Values>
void print(const char* name, const Values& values) {
  std::printf(", \"%s\": ", name);
  print(values);
}

void print(const spinconv::Container& container) {
  const auto& metadata = container.metadata;
  const auto& info = metadata.info;
  std::printf("{\"kind\": \"%s\", \"dtype\": \"%s\", \"conservative\": %s", info.kind.c_str(), info.dtype.c_str(), info.conservative ? "true" : "false");
  std::printf(", \"weights_sha256\": \"%s\", \"text_sha256\": \"%s\"", container.weights_sha256().c_str(), spinconv::sha256(container.text).c_str());
  print("sizes", std::vector<double>{info.cutoff, static_cast<double>(info.n_blocks), metadata.scale, metadata.average_neighbors});
  print("elements", info.elements);
  print("reference_energies", metadata.reference_energies);
  print("shortest_distances", info.shortest_distances);
  print("neighbor_range", info.neighbor_range);
  print("probe_numbers", metadata.probe.numbers);
  print("probe_positions", metadata.probe.positions);
  print("probe_energies", metadata.probe.energies);
  print("probe_gradients", metadata.probe.gradients);
  std::printf(", \"weights\": {");
  for (size_t i = 0; i < container.tensors.size(); ++i) {
    const auto& tensor = container.tensors[i];
    std::printf("%s%s: {\"shape\": ", i > 0 ? ", " : "", quoted(tensor.name()).c_str());
    print(tensor.shape());
    const bool is_real = tensor.dtype() == spinconv::Tensor::Dtype::float64;
    std::printf(", \"dtype\": \"%s\", \"values\": ", is_real ? "float64" : "int64");
    is_real ? print(tensor.doubles()) : print(tensor.integers());
    std::printf("}");
  }
  std::printf("}}\n");
}

}  // namespace

int main(int n_arguments, char** arguments) {
  for (int i = 1; i < n_arguments; ++i) {
    try {
      const auto bytes = spinconv::read_file(arguments[i]);
      print(spinconv::open_container(bytes, arguments[i]));
    } catch (const spinconv::Error& error) {
      std::printf("%s\n", quoted(error.what()).c_str());
    }
  }
}
