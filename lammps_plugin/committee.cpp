// SPDX-License-Identifier: GPL-2.0-or-later
#include "committee.h"

#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

namespace spinconv {

Deviation virial_deviation(const std::vector<std::array<double, 9>> &virials, double n_atoms)
{
  const auto n_models = static_cast<double>(virials.size());
  Deviation deviation;
  deviation.smallest = INFINITY;
  double squares = 0.0;
  for (size_t k = 0; k < 9; ++k) {
    double mean = 0.0, variance = 0.0;
    for (const auto &virial : virials) mean += virial[k] / n_models;
    for (const auto &virial : virials) variance += (virial[k] - mean) * (virial[k] - mean) / n_models;
    const double of_component = std::sqrt(variance) / n_atoms;
    deviation.largest = std::max(deviation.largest, of_component);
    deviation.smallest = std::min(deviation.smallest, of_component);
    squares += of_component * of_component;
  }
  deviation.mean = std::sqrt(squares / 9.0);
  return deviation;
}

std::array<double, 9> virial_of(const Graph &graph, const Result &result)
{
  std::array<double, 9> virial{};
  for (int64_t e = 0; e < graph.n_edges; ++e)
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) virial[3 * a + b] -= graph.vectors[3 * e + a] * result.edge_gradients[3 * e + b];
  return virial;
}

void DeviationFile::open(const std::string &path, bool goes_on, const std::string &virial_unit, const std::string &force_unit)
{
  close();
  name = path;
  file = std::fopen(path.c_str(), "a");
  if (!file) throw Error("cannot write `out_file` " + name + ": " + std::strerror(errno));
  claim();
  if (goes_on) return;
  [[maybe_unused]] const int none = ::ftruncate(::fileno(file), 0);    // of a device there is nothing to cut
  std::fprintf(file, "#%11s", "step");
  for (const char *column : {"max_devi_v", "min_devi_v", "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f"})
    std::fprintf(file, "%19s", column);
  std::fprintf(file, "   (v: %s per atom, f: %s)\n", virial_unit.c_str(), force_unit.c_str());
  flush();
}

// Others that write it, in another partition, LAMMPS or by a link, would lose their lines or ours.
void DeviationFile::claim()
{
  if (::flock(::fileno(file), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;    // not every file system has locks
  close();
  throw Error("`out_file` must be another for every committee, got " + name + ", which one is writing already");
}

void DeviationFile::write(long long step, const Deviation &virial, const Deviation &force)
{
  if (!file) return;
  std::fprintf(file, "%12lld", step);
  for (const double number : {virial.largest, virial.smallest, virial.mean, force.largest, force.smallest, force.mean})
    std::fprintf(file, " %18.6e", number);
  std::fprintf(file, "\n");
  flush();
}

// Every line at once, so that a full disk ends the run where it fills.
void DeviationFile::flush()
{
  if (std::fflush(file) != 0 || std::ferror(file)) throw Error("cannot write `out_file` " + name + ": " + std::strerror(errno));
}

void DeviationFile::close()
{
  if (file) std::fclose(file);
  file = nullptr;
}

}    // namespace spinconv
