// SPDX-License-Identifier: MIT
#include "container.h"

#include "sealed.h"
#include "sha256.h"

#include "spinconv/model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace spinconv {
namespace {

const std::string metadata_file = "spinconv.json", weights_file = "weights.safetensors";
constexpr size_t most_characters = 300;   // of a sentence

/// Says what an archive without a seal is.
[[noreturn]] void refuse_unsealed(std::string_view bytes, const std::string& name) {
  const auto has = [&](const std::string& text) { return bytes.find(text) != std::string_view::npos; };
  if (has("/extra/" + weights_file)) throw Error(name + " was saved again by torch and has lost its seal; use the file that `spinconv export` wrote");
  if (has("/extra/" + metadata_file)) throw Error(name + " was written for format 1 by spinconv 0.1; export it again from its checkpoint");
  const std::string what = has("/constants.pkl") ? "a TorchScript file" : "an archive";
  throw Error(name + " must be a model file written by `spinconv export`, is " + what + " without " + metadata_file);
}

/// The number at the beginning of a text, from which it is taken.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t value = 0;
  const auto done = std::from_chars(text.data(), text.data() + std::min<size_t>(text.size(), 12), value);   // 12 digits: sums do not overflow
  if (done.ec != std::errc()) return std::nullopt;
  text.remove_prefix(done.ptr - text.data());
  return value;
}

bool take(std::string_view& text, const std::string& head) {
  if (text.substr(0, head.size()) != head) return false;
  text.remove_prefix(head.size());
  return true;
}

[[noreturn]] void refuse_note(const std::string& name) {
  throw Error(name + " must be a model file written by `spinconv export`, is another file of spinconv; export it if it is a checkpoint");
}

/// The bytes that a note names as `member=OFFSET+SIZE`, from which this is taken.
std::string_view take_member(std::string_view& note, const std::string& member, std::string_view bytes, const std::string& name) {
  std::optional<uint64_t> offset, size;
  if (take(note, member + "=")) offset = take_number(note);
  if (offset && take(note, "+")) size = take_number(note);
  if (!size) refuse_note(name);
  if (*offset + *size > bytes.size()) throw Error(name + " is damaged: its seal names places that it does not have; export it again");
  return bytes.substr(*offset, *size);
}

/// A sentence with words out of a file, which may be of any length and steer a terminal.
std::string printable(std::string sentence) {
  if (sentence.size() > most_characters) sentence = sentence.substr(0, most_characters) + " ...";
  for (char& c : sentence) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return sentence;
}

template <class Function>
auto named(const std::string& member, Function&& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error("its " + member + " " + error.what());
  }
}

Container read_data_part(std::string_view text, std::string_view weights) {
  Container container;
  container.text = text;
  container.said = named(metadata_file, [&] { return parse_json(text); });
  container.metadata = read_metadata(container.said);
  container.weights = weights;
  container.tensors = named(weights_file, [&] { return read_safetensors(weights); });
  return container;
}

/// The constants of pairs fade at the cutoff, the Bessel functions know it by its number: they must be one. Or edges do not fade at all,
/// as tests of several processes want it, because a smooth model hides what is missing at its cutoff.
void check_cutoff(const Tensor& pairs, double cutoff) {
  constexpr double rounding = 1e-5;
  const auto& shape = pairs.shape();
  const bool has_rows = shape.size() == 2 && shape[0] > 0 && shape[1] > 0;
  const double inverse = has_rows ? pairs.doubles()[shape[1] - 1] : -1.0;
  if (inverse == 0.0 || std::abs(inverse * cutoff - 1.0) < rounding) return;
  throw Error("its `" + pairs.name() + "` are not those of its `model`; export it again");
}

}  // namespace

bool Container::has(const std::string& name) const {
  return std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) { return tensor.name() == name; });
}

const Tensor& Container::tensor(const std::string& name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& tensor) { return tensor.name() == name; });
  if (found == tensors.end()) throw Error("weights `" + name + "` are missing");
  return *found;
}

std::string Container::weights_sha256() const { return sha256(weights); }

Container open_container(std::string_view bytes, const std::string& name) {
  if (is_whole_archive(bytes)) refuse_unsealed(bytes, name);
  auto note = open_sealed(bytes, name);
  const auto text = take_member(note, metadata_file, bytes, name);
  if (!take(note, " ")) refuse_note(name);
  const auto weights = take_member(note, weights_file, bytes, name);
  if (!note.empty()) refuse_note(name);
  try {
    return read_data_part(text, weights);
  } catch (const Error& error) {
    throw Error(name + " is damaged: " + printable(error.what()) + "; export it again");
  }
}

void check_weights_fit(const Container& container) {
  const auto& info = container.metadata.info;
  const auto one_too_many = "blocks." + std::to_string(info.n_blocks) + ".";
  for (const auto& tensor : container.tensors) {
    if (info.n_blocks > 0 && tensor.name().rfind(one_too_many, 0) == 0) throw Error("its weights are of more than its `model.n_blocks`; export it again");
    if (tensor.name() == "constants.pairs") check_cutoff(tensor, info.cutoff);
  }
}

}  // namespace spinconv
