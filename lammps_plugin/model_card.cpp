// SPDX-License-Identifier: GPL-2.0-or-later
#include "model_card.h"

#include "spinconv/elements.h"

#include "fmt/format.h"
#include "json.h"

using LAMMPS_NS::json;

namespace spinconv {
namespace {

/// The file says of itself what it likes: what is missing or of another type is left out.
std::string text_at(const json &metadata, const char *pointer)
{
  const json::json_pointer place(pointer);
  if (!metadata.contains(place)) return "";
  const auto &value = metadata.at(place);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? value.dump() : "";
}

std::string line(const char *label, const std::string &text)
{
  return text.empty() ? "" : fmt::format("  {:<10}{}\n", label, text);
}

std::string training_set(const json &metadata)
{
  const auto n = text_at(metadata, "/training/data/n_train");
  if (n.empty()) return "";
  const auto file = text_at(metadata, "/training/data/train_file"), hash = text_at(metadata, "/training/data/train_sha256");
  return fmt::format("{} frames of {} (sha256 {}), {}", n, file.empty() ? "a file" : file, hash.substr(0, 12), text_at(metadata, "/training/date"));
}

std::string validation_errors(const json &metadata)
{
  const json::json_pointer forces("/training/validation/forces"), energy("/training/validation/energy per atom");
  if (!metadata.contains(forces) || !metadata.contains(energy)) return "";
  if (!metadata.at(forces).is_number() || !metadata.at(energy).is_number()) return "";
  return fmt::format("mean absolute, of the validation set: forces {:.3g} meV/A, energy {:.3g} meV/atom", metadata.at(forces).get<double>(),
                     metadata.at(energy).get<double>());
}

/// Of isolated atoms, in the order of the elements: part of every energy.
std::string reference_energies(const ModelInfo &info, const json &metadata)
{
  const json::json_pointer place("/reference_energies");
  if (!metadata.contains(place)) return "";
  std::string list;
  for (const auto element : info.elements) {
    const auto symbol = symbol_of(element);
    const auto &energies = metadata.at(place);
    if (energies.contains(symbol) && energies.at(symbol).is_number())
      list += fmt::format("{}{} {:.12g}", list.empty() ? "" : ", ", symbol, energies.at(symbol).get<double>());
  }
  return list.empty() ? "" : "of an isolated atom, eV: " + list;
}

}    // namespace

std::string model_card(const ModelInfo &info, const std::string &file)
{
  const std::string blocks = info.n_blocks > 0 ? fmt::format("{} blocks, ", info.n_blocks) : "";
  const std::string forces = info.direct_forces ? "direct" : info.conservative ? "" : "of a cut gradient";
  const auto metadata = json::parse(info.metadata, nullptr, false);
  const auto name = text_at(metadata, "/name");
  return fmt::format("SpinConv model {} from {}\n", name.empty() ? "without a name" : name, file) +
      line("kind", fmt::format("{}, cutoff {} A, elements {}, {}{} on {}, {}", info.kind, info.cutoff, symbol_list(info.elements),
                               blocks, info.dtype, info.device, info.evaluator)) +
      line("forces", forces.empty() ? "" : forces + ", not those of the energy: dynamics will not conserve it") +
      line("E0", reference_energies(info, metadata)) + line("weights", info.weights_sha256) + line("trained", training_set(metadata)) +
      line("errors", validation_errors(metadata)) + line("licence", text_at(metadata, "/licence")) +
      line("cite", text_at(metadata, "/citation"));
}

std::string bibtex(const ModelInfo &info)
{
  const auto metadata = json::parse(info.metadata, nullptr, false);
  std::string text = "pair_style spinconv: arXiv:2106.09575\n\n"
                     "@article{Shuaibi2021,\n"
                     " author =  {M. Shuaibi and A. Kolluru and A. Das and A. Grover and A. Sriram and Z. Ulissi and C. L. Zitnick},\n"
                     " title =   {Rotation Invariant Graph Neural Networks using Spin Convolutions},\n"
                     " journal = {arXiv preprint arXiv:2106.09575},\n"
                     " year =    2021\n"
                     "}\n\n";
  const auto citation = text_at(metadata, "/citation");
  if (citation.empty() || citation.find("2106.09575") != std::string::npos) return text;
  return text + "The model itself: " + citation + "\n\n";
}

}    // namespace spinconv
