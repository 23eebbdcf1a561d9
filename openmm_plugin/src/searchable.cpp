// SPDX-License-Identifier: MIT
#include "searchable.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace spinconv {
namespace {

constexpr double farthest = 1e7;          // Å; beyond it double precision holds no distance to 1e-9 Å
constexpr double least_volume = 1.01;     // Å³ an atom; no matter is so dense, and a dummy cell of 1 Å has less
constexpr double most_elongated = 1e4;    // the volume over that of a cube as wide as the thinnest side: vesin divides by zero beyond 1e5
constexpr double bytes_of_edge = 100.0;   // in the list
constexpr double sphere = 4.18879;        // volume of radius 1

std::string in_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

Point cross(const Point& a, const Point& b) { return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]}; }
double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/// A parallelepiped that the search has to cover, in fractional coordinates: of each direction, the row that gives them and the height.
struct Region {
  Point origin{};
  Box inverse{};   // fractional[k] = inverse[k] . (x - origin)
  Point heights{};
  double volume = 0.0;
};

Region of_box(const Box& box) {
  Region region;
  region.volume = std::abs(dot(box[0], cross(box[1], box[2])));
  for (int k = 0; k < 3; ++k) {
    const auto normal = cross(box[(k + 1) % 3], box[(k + 2) % 3]);
    region.heights[k] = region.volume / std::sqrt(dot(normal, normal));
    for (int a = 0; a < 3; ++a) region.inverse[k][a] = normal[a] / dot(box[k], normal);
  }
  return region;
}

Region around(const std::vector<Point>& positions, double cutoff) {
  Region region;
  region.volume = 1.0;
  for (int k = 0; k < 3; ++k) {
    const auto by_coordinate = [&](const Point& a, const Point& b) { return a[k] < b[k]; };
    const auto [least, most] = std::minmax_element(positions.begin(), positions.end(), by_coordinate);
    region.origin[k] = (*least)[k];
    region.heights[k] = std::max((*most)[k] - (*least)[k], cutoff);
    region.inverse[k][k] = 1.0 / region.heights[k];
    region.volume *= region.heights[k];
  }
  return region;
}

void check_numbers(const std::vector<Point>& points, const char* name) {
  for (const auto& point : points)
    for (const double x : point)
      if (!(std::abs(x) <= farthest)) {
        throw std::runtime_error(std::string("`") + name + "` must be finite and within " + in_words(farthest) + " Å, got " + in_words(x) +
                                 ": beyond that double precision does not tell how far atoms are apart");
      }
}

void check_density(const Region& region, size_t n_atoms) {
  if (region.volume >= least_volume * static_cast<double>(n_atoms)) return;
  throw std::runtime_error("the periodic cell of " + in_words(region.volume) + " Å³ is too small for " + std::to_string(n_atoms) +
                           " atoms, each must have at least " + in_words(least_volume) +
                           " Å³: look whether it is a dummy, as CRYST1 1 1 1 in a PDB file, and in which unit it is");
}

void check_shape(const Region& region, double cutoff) {
  double sides[3];
  for (int k = 0; k < 3; ++k) sides[k] = std::max(region.heights[k] / cutoff, 1.0);
  const double thinnest = *std::min_element(sides, sides + 3);
  if (sides[0] * sides[1] * sides[2] <= most_elongated * thinnest * thinnest * thinnest) return;
  throw std::runtime_error("the neighbours cannot be found in a space of " + in_words(region.heights[0]) + " x " + in_words(region.heights[1]) +
                           " x " + in_words(region.heights[2]) + " Å, which is too long or too flat: look for an atom far from the others, or a wrong cell");
}

/// Each atom meets the density of its part of the region, about as wide as the cutoff, in the sphere around it: images are counted.
double estimate_edges(const std::vector<Point>& positions, const Region& region, bool periodic, double cutoff) {
  double n_cells[3];
  for (int k = 0; k < 3; ++k) n_cells[k] = std::max(std::floor(region.heights[k] / cutoff), 1.0);
  const double volume = region.volume / (n_cells[0] * n_cells[1] * n_cells[2]);
  std::vector<double> cells;
  cells.reserve(positions.size());
  for (const auto& position : positions) {
    const Point from_origin = {position[0] - region.origin[0], position[1] - region.origin[1], position[2] - region.origin[2]};
    double cell = 0.0;
    for (int k = 0; k < 3; ++k) {
      double fraction = dot(region.inverse[k], from_origin);
      if (periodic) fraction -= std::floor(fraction);
      cell = cell * n_cells[k] + std::min(std::floor(fraction * n_cells[k]), n_cells[k] - 1.0);
    }
    cells.push_back(cell);
  }
  std::sort(cells.begin(), cells.end());
  double pairs = 0.0, n_alike = 0.0;
  for (size_t n = 0; n < cells.size(); ++n) {
    n_alike = n > 0 && cells[n] == cells[n - 1] ? n_alike + 1.0 : 1.0;
    pairs += 2.0 * n_alike - 1.0;   // sum of squares
  }
  const double n_edges = pairs * sphere * cutoff * cutoff * cutoff / volume, n_atoms = static_cast<double>(positions.size());
  return periodic ? n_edges : std::min(n_edges, n_atoms * n_atoms);
}

/// What the kernel says that a process can still take, or all that the machine has.
double available_memory() {
  std::ifstream told("/proc/meminfo");
  for (std::string name, rest; told >> name && std::getline(told, rest);)
    if (name == "MemAvailable:") return 1024.0 * std::stod(rest);
  return static_cast<double>(sysconf(_SC_PAGE_SIZE)) * static_cast<double>(sysconf(_SC_PHYS_PAGES));
}

void check_memory(double n_edges, size_t n_atoms, double cutoff) {
  if (n_edges < 1e6) return;   // 0.1 GB
  const double needed = n_edges * bytes_of_edge, free = available_memory();
  if (needed <= free) return;
  throw std::runtime_error("about " + in_words(n_edges) + " pairs of " + std::to_string(n_atoms) + " atoms are within " + in_words(cutoff) +
                           " Å, whose list needs " + in_words(needed / 1e9) + " GB of memory, " + in_words(free / 1e9) +
                           " are free: look for atoms on top of each other, and at the cell");
}

}  // namespace

void check_cell(const Box& box, size_t n_atoms) {
  check_numbers({box.begin(), box.end()}, "cell");
  check_density(of_box(box), n_atoms);
}

void check_searchable(const std::vector<Point>& positions, const Box* box, double cutoff) {
  if (positions.empty()) return;
  check_numbers(positions, "positions");
  if (box != nullptr) check_cell(*box, positions.size());
  const auto region = box != nullptr ? of_box(*box) : around(positions, cutoff);
  check_shape(region, cutoff);
  check_memory(estimate_edges(positions, region, box != nullptr, cutoff), positions.size(), cutoff);
}

}  // namespace spinconv
