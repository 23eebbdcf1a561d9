// Times the native evaluator alone: time_native MODEL GRAPH LEVEL THREADS SECONDS; benchmarks/native.py writes the graphs and reads the line.
// SPDX-License-Identifier: MIT
#include "container.h"
#include "native/evaluator.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <time.h>

namespace {

double seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// From /proc: getrusage would count what the parent had before it started this process.
long peak_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmHWM:") {
  }
  long kib = 0;
  status >> kib;
  return kib;
}

template <class T>
std::vector<T> read(std::ifstream& file, int64_t n) {
  std::vector<T> values(n);
  file.read(reinterpret_cast<char*>(values.data()), n * static_cast<int64_t>(sizeof(T)));
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const std::string bytes = spinconv::read_file(argv[1]);
  const auto container = spinconv::open_container(bytes, argv[1]);
  std::ifstream file(argv[2], std::ios::binary);
  const auto sizes = read<int64_t>(file, 2);   // atoms, edges
  const auto numbers = read<int64_t>(file, sizes[0]), source = read<int64_t>(file, sizes[1]), target = read<int64_t>(file, sizes[1]);
  const auto vectors = read<double>(file, 3 * sizes[1]);
  const auto evaluator = spinconv::native::make_evaluator(container, "float32", std::atoi(argv[4]), argv[3]);
  if (!evaluator || !file) return 3;
  spinconv::Graph graph;
  graph.n_atoms = sizes[0], graph.n_edges = sizes[1];
  graph.numbers = numbers.data(), graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
  spinconv::Result result;
  std::vector<double> processor, wall;
  for (double used = 0.0; used < std::atof(argv[5]) || wall.size() < 7; used += wall.back()) {
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), clock = seconds(CLOCK_MONOTONIC);
    evaluator->evaluate(graph, {}, result);
    processor.push_back(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    wall.push_back(seconds(CLOCK_MONOTONIC) - clock);
  }
  std::printf("%.6f %.6f %ld\n", 1e3 * median(processor), 1e3 * median(wall), peak_kib());
  return 0;
}
