// Laws of the data part of a model file, on files made here: what was sealed is read, and nothing else. That files written in Python are
// read the same here is a law of tests/export/test_container_cpp.py.
// SPDX-License-Identifier: MIT
#include "container.h"
#include "laws.h"
#include "sha256.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using laws::check;
using laws::check_refused;
using laws::refusal;
using spinconv::Container;
using spinconv::open_container;

const std::string metadata_text = R"({"format_version": 2, "kind": "harmonic", "name": "two atoms", "conservative": true, "dtype": "float64",
 "units": {"length": "angstrom", "energy": "eV"}, "model": {"elements": [1, 8], "cutoff": 5, "n_blocks": 2, "lmax": 3},
 "reference_energies": {"O": -2041.5, "H": -13.6}, "scale": 1.5, "average_neighbors": 8.25,
 "coverage": {"shortest_distances": {"H-O": 0.9}, "neighbors": {"H": [1, 2], "O": [2, 2]}},
 "probe": {"numbers": [1, 8], "positions": [[0, 0, 0], [0, 0, 1]], "energies": [-13.5, -2041.25], "gradients": [[0, 0, -2], [0, 0, 2]]}})";

std::string little_endian(uint64_t number, int n_bytes) {
  std::string bytes;
  for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(number >> 8 * i);
  return bytes;
}

std::string bytes_of(const std::vector<double>& values) {
  std::string bytes(8 * values.size(), '\0');
  if (!values.empty()) std::memcpy(&bytes[0], values.data(), bytes.size());
  return bytes;
}

std::string layout(const std::string& header, const std::string& numbers) { return little_endian(header.size(), 8) + header + numbers; }

const std::string weights = layout(
    R"({"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"F64","shape":[1,3],"data_offsets":[16,40]},"c":{"dtype":"F64","shape":[],"data_offsets":[40,48]}})",
    little_endian(1, 8) + little_endian(-2, 8) + bytes_of({0.1, -2.5, 1e300, 7.0}));

/// A file that ends as a zip archive does, under a seal.
std::string sealed(const std::string& content, const std::string& note, const std::string& format = "2") {
  const auto line = "spinconv " + format + " " + note + (note.empty() ? "" : " ") + "sha256:";
  const auto before = content + std::string("PK\5\6", 4) + std::string(16, '\0') + little_endian(line.size() + 65, 2) + line;
  return before + spinconv::sha256(before) + "\n";
}

std::string unsealed(const std::string& content) { return content + std::string("PK\5\6", 4) + std::string(18, '\0'); }

/// One byte shifts the weights from where eight bytes may be read at once.
std::string model_file(const std::string& text = metadata_text, const std::string& numbers = weights) {
  const std::string head = "PK\3\4.";
  const auto place = [](size_t offset, const std::string& member) { return std::to_string(offset) + "+" + std::to_string(member.size()); };
  return sealed(head + text + numbers, "spinconv.json=" + place(head.size(), text) + " weights.safetensors=" + place(head.size() + text.size(), numbers));
}

void test_hashes() {
  const auto is = [](const std::string& bytes, const std::string& digits) {
    check(spinconv::sha256(bytes) == digits, "SHA-256 of " + std::to_string(bytes.size()) + " bytes");
  };
  // the examples of FIPS 180-4 and of its test vectors
  is("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  is("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  is(std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // a byte below, at and above what the last block holds, by Python's hashlib
  is(std::string(55, 'a'), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  is(std::string(56, 'a'), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  is(std::string(64, 'a'), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

void test_the_data_part() {
  const auto file = model_file();
  const Container container = open_container(file, "model.pt");
  check(container.text == metadata_text && container.said.at("model.lmax").integer() == 3, "metadata are what was packed");
  check(container.tensors.size() == 3 && container.tensor("b").shape() == std::vector<int64_t>({1, 3}) && container.tensor("c").shape().empty(), "shapes");
  check(container.tensor("a").integers() == std::vector<int64_t>({1, -2}) && container.tensor("b").doubles() == std::vector<double>({0.1, -2.5, 1e300}),
        "numbers, wherever they lie");
  check(container.weights_sha256() == spinconv::sha256(weights), "the hash of the weights alone");
  check_refused("weights `d` are missing", [&] { container.tensor("d"); });
  check_refused("weights `a` must be float64", [&] { container.tensor("a").doubles(); });
  check_refused("weights `b` must be int64", [&] { container.tensor("b").integers(); });
}

void test_every_changed_byte_is_found() {
  const auto file = model_file();
  size_t n_found = 0;
  for (size_t place = 0; place < file.size(); ++place) {
    for (const int change : {0x01, 0x20, 0xff}) {   // 0x20 makes a digit a capital letter
      auto changed = file;
      changed[place] = static_cast<char>(changed[place] ^ change);
      n_found += refusal([&] { open_container(changed, "model.pt"); }).rfind("model.pt ", 0) == 0;
    }
  }
  check(n_found == 3 * file.size(), std::to_string(n_found) + " changed bytes are found");
}

void test_every_cut_is_found() {
  const auto file = model_file();
  size_t n_found = 0;
  for (size_t size = 0; size < file.size(); ++size) {
    n_found += refusal([&] { open_container(std::string_view(file).substr(0, size), "model.pt"); }).rfind("model.pt ", 0) == 0;
    n_found += refusal([&] { open_container(std::string_view(file).substr(file.size() - size), "model.pt"); }).rfind("model.pt ", 0) == 0;
  }
  check(n_found == 2 * file.size(), std::to_string(n_found) + " cuts at either end are found");
  for (const auto& more : {std::string(1, '\0'), std::string("\n"), file}) {
    check_refused("model.pt ", [&] { open_container(file + more, "model.pt"); });
    check_refused("model.pt ", [&] { open_container(more + file, "model.pt"); });
  }
}

void test_other_files() {
  const auto refused = [](const std::string& words, const std::string& file) { check_refused("model.pt " + words, [&] { open_container(file, "model.pt"); }); };
  refused("must be a model file written by `spinconv export`, is of another kind", "text");
  refused("was saved again by torch and has lost its seal", unsealed("PK\3\4 m/extra/spinconv.json m/extra/weights.safetensors"));
  refused("was written for format 1 by spinconv 0.1; export it again from its checkpoint", unsealed("PK\3\4 m/extra/spinconv.json"));
  refused("must be a model file written by `spinconv export`, is a TorchScript file without spinconv.json", unsealed("PK\3\4 m/constants.pkl"));
  refused("must be a model file written by `spinconv export`, is an archive without spinconv.json", unsealed("PK\3\4"));
  refused("is damaged: it is cut short, or its end is changed", "PK\3\4 and no more");
  refused("was written for format 3, this spinconv reads format 2; use another spinconv", sealed("PK\3\4", "", "3"));
  for (const char* note : {"", "a note", "spinconv.json=-1+8 weights.safetensors=0+8", "spinconv.json=0+1 weights.safetensors=0+8 more", "spinconv.json=0+1",
                           "spinconv.json=0+1weights.safetensors=0+8", "spinconv.json=0 weights.safetensors=0+8"}) {
    refused("must be a model file written by `spinconv export`, is another file of spinconv", sealed("PK\3\4", note));
  }
  for (const char* note : {"spinconv.json=0+9999 weights.safetensors=0+8", "spinconv.json=999999999999+999999999999 weights.safetensors=0+8",
                           "spinconv.json=0+4 weights.safetensors=4+9999", "spinconv.json=0+4 weights.safetensors=999999999999+0"}) {
    refused("is damaged: its seal names places that it does not have", sealed("PK\3\4", note));
  }
  refused("is damaged: its spinconv.json must be strict JSON: at byte 0", model_file("no JSON"));
}

void test_wrong_weights() {
  const auto refused = [](const std::string& words, const std::string& numbers) {
    check_refused("model.pt is damaged: its weights.safetensors " + words, [&] { open_container(model_file(metadata_text, numbers), "model.pt"); });
  };
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets, const std::string& numbers = std::string(16, '\0')) {
    return layout("{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", numbers);
  };
  refused("cannot be read: it is cut short", "");
  refused("cannot be read: it is cut short", "\1\2\3");
  refused("cannot be read: its header is longer than it", little_endian(UINT64_MAX, 8) + "{}");
  refused("must be strict JSON", layout("not JSON", ""));
  refused("must be a section of keys and values", layout("[1]", ""));
  refused("must be a section of keys and values", layout("{\"w\":1}", ""));
  refused("cannot be read: `w` has no `dtype`", layout("{\"w\":{}}", ""));
  refused("cannot be read: `w` lies outside of it", one("F64", "[2]", "[0,17]"));
  refused("cannot be read: `w` lies outside of it", one("F64", "[2]", "[16,0]"));
  refused("cannot be read: `w` lies outside of it", one("F64", "[2]", "[-8,8]"));
  refused("cannot be read: `w` must have two offsets", one("F64", "[2]", "[0]"));
  refused("must be a whole number", one("F64", "[2.5]", "[0,16]"));
  refused("cannot be read: `w` has a shape that does not fit", one("F64", "[2]", "[0,8]"));
  refused("cannot be read: `w` has a shape that does not fit", one("F64", "[3]", "[0,16]"));
  refused("cannot be read: `w` has a shape that does not fit", one("F64", "[-2]", "[0,16]"));
  refused("cannot be read: `w` has a shape that does not fit", one("F64", "[4611686018427387904,4,2]", "[0,16]"));
  refused("cannot be read: `w` has a shape that does not fit", one("F64", "[0,9223372036854775807]", "[0,16]"));
  refused("cannot be read: `w` has 17 axes", one("F64", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,16]"));
  refused("cannot be read: `w` must be of F64 or I64, is of F32", one("F32", "[4]", "[0,16]"));
  refused("cannot be read: `w` must be finite numbers", one("F64", "[2]", "[0,16]", bytes_of({1.0, NAN})));
  refused("cannot be read: it has numbers that belong to no array", one("F64", "[1]", "[0,8]"));
  refused("cannot be read: its arrays have gaps or overlap", one("F64", "[1]", "[8,16]"));
  open_container(model_file(metadata_text, layout(R"({"__metadata__":{"any":"thing"},"w":{"dtype":"F64","shape":[3,0],"data_offsets":[0,0]}})", "")), "model.pt");
}

void test_metadata() {
  const auto file = model_file();
  const auto metadata = open_container(file, "model.pt").metadata;
  const auto& info = metadata.info;
  check(info.kind == "harmonic" && info.cutoff == 5.0 && info.n_blocks == 2 && info.conservative && info.dtype == "float64" && info.format_version == 2 &&
            info.elements == std::vector<int64_t>({1, 8}), "what the model is");
  check(metadata.reference_energies == std::vector<double>({-13.6, -2041.5}) && metadata.scale == 1.5 && metadata.average_neighbors == 8.25,
        "reference energies in the order of the elements");
  check(info.shortest_distances == std::vector<double>({INFINITY, 0.9, 0.9, INFINITY}) && info.neighbor_range == std::vector<int64_t>({1, 2, 2, 2}), "coverage");
  check(metadata.probe.positions.size() == 6 && metadata.probe.gradients[5] == 2.0 && metadata.probe.energies[1] == -2041.25, "the probe");
}

/// `from` once in the metadata is `to`.
void check_metadata_refused(const std::string& from, const std::string& to, const std::string& words) {
  auto text = metadata_text;
  const auto place = text.find(from);
  check(place != std::string::npos, "there is " + from);
  text.replace(place, from.size(), to);
  check_refused("model.pt is damaged: " + words, [&] { open_container(model_file(text), "model.pt"); });
}

void test_wrong_metadata() {
  check_metadata_refused("\"format_version\": 2", "\"format_version\": 3", "`format_version` must be 2 to 2, got 3");
  check_metadata_refused("float64", std::string(1000, 'x'), "`dtype` must be float32 or float64, got xxx");
  check_metadata_refused("float64", "\\n\\u001b[31mred", "`dtype` must be float32 or float64, got ??[31mred; export it again");
  check_metadata_refused("\"kind\": \"harmonic\"", "\"kind\": 1", "`kind` must be text");
  check_metadata_refused("\"conservative\": true", "\"conservative\": 1", "`conservative` must be true or false");
  check_metadata_refused("float64", "half", "`dtype` must be float32 or float64, got half");
  check_metadata_refused("angstrom", "bohr", "`units` must be angstrom and eV");
  check_metadata_refused("\"cutoff\": 5", "\"cutoff\": -1", "`model.cutoff` must be positive, got -1");
  check_metadata_refused("\"cutoff\": 5,", "", "`model.cutoff` is missing");
  check_metadata_refused("\"n_blocks\": 2", "\"n_blocks\": 17", "`model.n_blocks` must be 1 to 16, got 17");
  check_metadata_refused("\"n_blocks\": 2", "\"n_blocks\": 2.5", "`model.n_blocks` must be a whole number");
  check_metadata_refused("\"conservative\": true", "\"conservative\": true, \"forces\": \"sideways\"", "`forces` must be gradient or direct, got sideways");
  check_metadata_refused("\"conservative\": true", "\"conservative\": true, \"forces\": \"direct\"", "`conservative` must be false where `forces` are direct");
  check_metadata_refused("\"conservative\": true", "\"conservative\": true, \"settings\": {\"a\": true}", "`settings` must be a number");
  check_metadata_refused("\"elements\": [1, 8]", "\"elements\": [8, 1]", "`model.elements` must be ascending without repetition");
  check_metadata_refused("\"elements\": [1, 8]", "\"elements\": []", "`model.elements` must not be empty");
  check_metadata_refused("\"elements\": [1, 8]", "\"elements\": [1, 119]", "`model.elements` must be 1 to 118, got 119");
  check_metadata_refused("\"coverage\"", "\"covrage\"", "`covrage` is not a known key");
  check_metadata_refused("\"neighbors\"", "\"neighbours\"", "`coverage.neighbours` is not a known key");
  check_metadata_refused("\"probe\"", "\"bound\"", "`probe` is missing");
  check_metadata_refused("\"scale\": 1.5", "\"scale\": 0", "`scale` must be positive, got 0");
  check_metadata_refused("\"O\": -2041.5, ", "", "`reference_energies` must be of H O");
  check_metadata_refused("\"O\": -2041.5", "\"Au\": -1", "`reference_energies` must be of H O, got Au");
  check_metadata_refused("\"H-O\": 0.9", "\"O-H\": 0.9", "`coverage.shortest_distances` must be distances of pairs in the order of the elements, got O-H");
  check_metadata_refused("\"H-O\": 0.9", "\"H\": 0.9", "`coverage.shortest_distances` must be of H O, got ");
  check_metadata_refused("\"H\": [1, 2]", "\"H\": [1]", "`coverage.neighbors` must be least and most neighbours of every element");
  check_metadata_refused("\"H\": [1, 2]", "\"H\": [-1, 2]", "`coverage.neighbors` must be 0 to ");
  check_metadata_refused("\"numbers\": [1, 8]", "\"numbers\": [1, 6]", "`probe` must be of H O, got C");
  check_metadata_refused("\"numbers\": [1, 8]", "\"numbers\": [1]", "`probe.positions` must be 1 rows, got 2");
  check_metadata_refused("[0, 0, 1]", "[0, 0]", "`probe.positions` must be rows of 3 numbers, got one of 2");
  check_metadata_refused("[-13.5, -2041.25]", "[-13.5]", "`probe.energies` must be 2 numbers, got 1");
}

/// Files that somebody changed and sealed again: each is read or refused. The sanitizers of a compiler see the rest.
void test_changed_and_sealed_again() {
  std::mt19937 random(0);
  const std::string likely = "{}[]\",:-0123456789eE.\x01\xff";
  const auto changed = [&](std::string bytes) {
    for (unsigned k = 1 + random() % 2; k > 0 && !bytes.empty(); --k) {
      const size_t place = random() % bytes.size();
      if (random() % 4 == 0) bytes.erase(place, 1 + random() % 16);
      else bytes[place] = random() % 2 ? likely[random() % likely.size()] : static_cast<char>(random());
    }
    return bytes;
  };
  int n_read = 0, n_refused = 0;
  for (int n = 0; n < 20000; ++n) {
    const auto file = n % 2 ? model_file(changed(metadata_text)) : model_file(metadata_text, changed(weights));
    const bool is_read = refusal([&] { open_container(file, "model.pt"); }).empty();
    is_read ? ++n_read : ++n_refused;
  }
  check(n_read > 1000 && n_refused > 1000, std::to_string(n_read) + " changed and sealed again are read, " + std::to_string(n_refused) + " refused");
}

void test_files() {
  char folder[] = "/tmp/spinconv_XXXXXX";
  if (mkdtemp(folder) == nullptr) return check(false, "a folder for files");
  const auto path = std::string(folder) + "/file";
  const auto refused = [&](const std::string& words) {
    check_refused(path + " must be a model file" + words, [&] { spinconv::read_file(path); });
    unlink(path.c_str());
  };
  check_refused("cannot open model file " + path + ": No such file", [&] { spinconv::read_file(path); });
  check_refused(std::string(folder) + " must be a model file, is a folder", [&] { spinconv::read_file(folder); });
  check(mkfifo(path.c_str(), 0600) == 0, "a pipe that nobody writes to");
  refused(", is a pipe or a device");
  check(symlink("/dev/zero", path.c_str()) == 0, "a file without end");
  refused(", is a pipe or a device");
  std::ofstream(path).flush();
  refused(", is empty");
  std::ofstream(path).put('x');
  check(spinconv::read_file(path) == "x", "the bytes of a file");
  check(truncate(path.c_str(), 10000000000000) == 0, "a file larger than the disk");
  refused(" of at most 1073 MB, has 10000000 MB");
  rmdir(folder);
}

void print_time_of_a_hash() {
  const std::string bytes(2000000, 'x');
  const auto start = std::chrono::steady_clock::now();
  const auto digits = spinconv::sha256(bytes);
  std::printf("ms for the hash of 2 MB: %.2f (%s)\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count(), digits.c_str());
}

}  // namespace

int main() {
  test_hashes();
  test_the_data_part();
  test_every_changed_byte_is_found();
  test_every_cut_is_found();
  test_other_files();
  test_wrong_weights();
  test_metadata();
  test_wrong_metadata();
  test_changed_and_sealed_again();
  test_files();
  print_time_of_a_hash();
  return laws::n_failed == 0 ? 0 : 1;
}
