// SPDX-License-Identifier: MIT
#include "metadata.h"

#include "spinconv/elements.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace spinconv {
namespace {

constexpr int64_t format_version = 2, most_blocks = 16, last_element = 118;
constexpr size_t most_probe = 1000;

[[noreturn]] void fail(const std::string& path, const std::string& why) { throw Error("`" + path + "` " + why); }

/// What `read` makes of the value at a path; what is wrong with it is said with its name.
template <class Function>
auto read_at(const Json& said, const std::string& path, Function&& read) {
  try {
    return read(said.at(path));
  } catch (const Error& error) {
    fail(path, error.what());
  }
}

/// What a section may say: a key that this reader does not know could decide a number.
void check_keys(const Json& said, const std::string& section, const std::vector<std::string>& known) {
  const auto names = section.empty() ? said.names() : read_at(said, section, [](const Json& value) { return value.names(); });
  for (const auto& key : names) {
    if (std::find(known.begin(), known.end(), key) == known.end()) fail((section.empty() ? "" : section + ".") + key, "is not a known key");
  }
}

std::string text(const Json& said, const std::string& path) {
  return read_at(said, path, [](const Json& value) { return value.text(); });
}

double positive(const Json& said, const std::string& path) {
  const double value = read_at(said, path, [](const Json& value) { return value.number(); });
  if (!(value > 0.0)) fail(path, "must be positive, got " + std::to_string(value));
  return value;
}

int64_t between(int64_t least, int64_t most, const Json& value) {
  const auto number = value.integer();
  if (number < least || number > most) {
    throw Error("must be " + std::to_string(least) + " to " + std::to_string(most) + ", got " + std::to_string(number));
  }
  return number;
}

std::vector<int64_t> atomic_numbers(const Json& said, const std::string& path) {
  return read_at(said, path, [](const Json& value) {
    std::vector<int64_t> numbers;
    for (const auto& item : value.list()) numbers.push_back(between(1, last_element, item));
    if (numbers.empty()) throw Error("must not be empty");
    return numbers;
  });
}

std::vector<int64_t> read_elements(const Json& said) {
  auto elements = atomic_numbers(said, "model.elements");
  if (std::adjacent_find(elements.begin(), elements.end(), std::greater_equal<>()) != elements.end()) {
    fail("model.elements", "must be ascending without repetition");
  }
  return elements;
}

std::vector<double> numbers_at(const Json& said, const std::string& path, size_t n) {
  return read_at(said, path, [&](const Json& value) {
    std::vector<double> numbers;
    for (const auto& item : value.list()) numbers.push_back(item.number());
    if (numbers.size() != n) throw Error("must be " + std::to_string(n) + " numbers, got " + std::to_string(numbers.size()));
    return numbers;
  });
}

std::vector<double> vectors_at(const Json& said, const std::string& path, size_t n) {
  return read_at(said, path, [&](const Json& value) {
    std::vector<double> numbers;
    for (const auto& row : value.list()) {
      if (row.list().size() != 3) throw Error("must be rows of 3 numbers, got one of " + std::to_string(row.list().size()));
      for (const auto& item : row.list()) numbers.push_back(item.number());
    }
    if (numbers.size() != 3 * n) throw Error("must be " + std::to_string(n) + " rows, got " + std::to_string(numbers.size() / 3));
    return numbers;
  });
}

size_t place_of(const std::vector<int64_t>& elements, const std::string& symbol) {
  const auto number = number_of(symbol);
  const auto found = std::find(elements.begin(), elements.end(), number);
  if (number == 0 || found == elements.end()) throw Error("must be of " + symbol_list(elements) + ", got " + symbol);
  return found - elements.begin();
}

/// One value for each element, whose symbols are the keys.
template <class Read>
void read_each_element(const Json& said, const std::string& path, const std::vector<int64_t>& elements, Read&& read) {
  read_at(said, path, [&](const Json& section) {
    for (size_t i = 0; i < section.names().size(); ++i) read(place_of(elements, section.names()[i]), section.values()[i]);
    if (section.names().size() != elements.size()) throw Error("must be of " + symbol_list(elements));
    return 0;
  });
}

void read_shortest_distances(const Json& said, ModelInfo& info) {
  const size_t n = info.elements.size();
  info.shortest_distances.assign(n * n, std::numeric_limits<double>::infinity());
  read_at(said, "coverage.shortest_distances", [&](const Json& section) {
    for (size_t i = 0; i < section.names().size(); ++i) {
      const auto& pair = section.names()[i];
      const auto dash = pair.find('-');
      const auto a = place_of(info.elements, pair.substr(0, dash));
      const auto b = place_of(info.elements, dash == std::string::npos ? "" : pair.substr(dash + 1));
      const double distance = section.values()[i].number();
      if (a > b || !(distance >= 0.0)) throw Error("must be distances of pairs in the order of the elements, got " + pair + " " + std::to_string(distance));
      info.shortest_distances[a * n + b] = info.shortest_distances[b * n + a] = distance;
    }
    return 0;
  });
}

void read_coverage(const Json& said, ModelInfo& info) {
  const auto* coverage = said.find("coverage");
  if (coverage == nullptr || coverage->is_null()) return;
  check_keys(said, "coverage", {"shortest_distances", "neighbors"});
  read_shortest_distances(said, info);
  info.neighbor_range.assign(2 * info.elements.size(), 0);
  read_each_element(said, "coverage.neighbors", info.elements, [&](size_t element, const Json& range) {
    if (range.list().size() != 2) throw Error("must be least and most neighbours of every element");
    for (size_t i = 0; i < 2; ++i) info.neighbor_range[2 * element + i] = between(0, std::numeric_limits<int64_t>::max(), range.list()[i]);
  });
}

Probe read_probe(const Json& said, const std::vector<int64_t>& elements) {
  Probe probe;
  check_keys(said, "probe", {"numbers", "positions", "energies", "gradients"});
  probe.numbers = atomic_numbers(said, "probe.numbers");
  const size_t n = probe.numbers.size();
  if (n > most_probe) fail("probe.numbers", "must be of at most " + std::to_string(most_probe) + " atoms, got " + std::to_string(n));
  for (const auto number : probe.numbers) {
    if (std::find(elements.begin(), elements.end(), number) == elements.end()) fail("probe", "must be of " + symbol_list(elements) + ", got " + symbol_of(number));
  }
  probe.positions = vectors_at(said, "probe.positions", n);
  probe.energies = numbers_at(said, "probe.energies", n);
  probe.gradients = vectors_at(said, "probe.gradients", n);
  return probe;
}

/// 0 where a file does not say it: not all kinds have blocks.
int64_t read_blocks(const Json& said) {
  const auto* blocks = said.at("model").find("n_blocks");
  if (blocks == nullptr || blocks->is_null()) return 0;
  return read_at(said, "model.n_blocks", [](const Json& value) { return between(1, most_blocks, value); });
}

/// Whether the forces are direct. Files of models whose forces are the gradient need not say so.
bool read_forces(const Json& said) {
  if (said.find("forces") == nullptr) return false;
  const auto forces = text(said, "forces");
  if (forces != "gradient" && forces != "direct") fail("forces", "must be gradient or direct, got " + forces);
  return forces == "direct";
}

std::vector<std::pair<std::string, double>> read_settings(const Json& said) {
  std::vector<std::pair<std::string, double>> settings;
  if (said.find("settings") == nullptr) return settings;
  return read_at(said, "settings", [&](const Json& section) {
    for (size_t i = 0; i < section.names().size(); ++i) settings.emplace_back(section.names()[i], section.values()[i].number());
    return settings;
  });
}

ModelInfo read_info(const Json& said) {
  ModelInfo info;
  info.format_version = read_at(said, "format_version", [](const Json& value) { return between(format_version, format_version, value); });
  text(said, "name");
  info.kind = text(said, "kind");
  info.conservative = read_at(said, "conservative", [](const Json& value) { return value.boolean(); });
  info.dtype = text(said, "dtype");
  if (info.dtype != "float32" && info.dtype != "float64") fail("dtype", "must be float32 or float64, got " + info.dtype);
  if (text(said, "units.length") != "angstrom" || text(said, "units.energy") != "eV") fail("units", "must be angstrom and eV");
  info.elements = read_elements(said);
  info.cutoff = positive(said, "model.cutoff");
  info.n_blocks = read_blocks(said);
  info.direct_forces = read_forces(said);
  if (info.direct_forces && info.conservative) fail("conservative", "must be false where `forces` are direct, got true");
  return info;
}

}  // namespace

Metadata read_metadata(const Json& said) {
  Metadata metadata;
  check_keys(said, "", {"format_version", "kind", "name", "conservative", "units", "dtype", "model", "reference_energies", "scale", "average_neighbors",
                        "coverage", "training", "licence", "citation", "versions", "probe", "bound", "forces", "settings"});
  metadata.info = read_info(said);
  metadata.scale = positive(said, "scale");
  metadata.average_neighbors = positive(said, "average_neighbors");
  metadata.reference_energies.resize(metadata.info.elements.size());
  read_each_element(said, "reference_energies", metadata.info.elements,
                    [&](size_t element, const Json& value) { metadata.reference_energies[element] = value.number(); });
  metadata.settings = read_settings(said);
  read_coverage(said, metadata.info);
  metadata.probe = read_probe(said, metadata.info.elements);
  return metadata;
}

}  // namespace spinconv
