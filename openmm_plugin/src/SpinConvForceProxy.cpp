// SpinConvForce as XML, and its registration with OpenMM when this library is loaded.
// SPDX-License-Identifier: MIT
#include <openmm/OpenMMException.h>
#include <openmm/serialization/SerializationNode.h>
#include <openmm/serialization/SerializationProxy.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "SpinConvForce.h"

namespace spinconv {
namespace {

using OpenMM::OpenMMException;
using OpenMM::SerializationNode;

constexpr int xml_version = 2;

// ---- bytes as text (RFC 4648)

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// White space as single blanks: a node's name may be anything.
std::string in_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool is_white = c == ' ' || (c >= '\t' && c <= '\r');
    if (!is_white) line += c;
    else if (!line.empty() && line.back() != ' ') line += ' ';
  }
  return line;
}

std::string to_base64(const std::string& bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;   // 24 bits: three bytes in, four characters out
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? alphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string from_base64(const std::string& text) {
  std::array<int, 256> values;
  values.fill(-1);
  for (int value = 0; value < 64; ++value) values[static_cast<unsigned char>(alphabet[value])] = value;

  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  int n_bits = 0;
  for (const char character : text) {
    if (character == '=') break;
    const int value = values[static_cast<unsigned char>(character)];
    if (value < 0) throw OpenMMException("SpinConvForce: the model in the XML is damaged: it is not base64");
    group = group << 6 | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits >= 8) bytes += static_cast<char>(group >> (n_bits -= 8) & 255);
  }
  return bytes;
}

// ---- the force as XML

class SpinConvForceProxy : public OpenMM::SerializationProxy {
 public:
  SpinConvForceProxy() : SerializationProxy("SpinConvForce") {}

  void serialize(const void* object, SerializationNode& node) const override {
    const auto& force = *static_cast<const SpinConvForce*>(object);
    node.setIntProperty("version", xml_version);
    node.setStringProperty("name", force.getName());
    node.setIntProperty("forceGroup", force.getForceGroup());
    node.setBoolProperty("usesPeriodic", force.usesPeriodicBoundaryConditions());
    node.setStringProperty("precision", force.getPrecision());
    node.setStringProperty("device", force.getDevice());
    node.setStringProperty("evaluator", force.getEvaluator());
    node.setIntProperty("threads", force.getThreads());
    node.setDoubleProperty("skin", force.getSkin());
    node.setBoolProperty("nonconservative", force.getNonconservative());
    auto& models = node.createChildNode("Models");
    for (const auto& model : force.getModels()) models.createChildNode("Model").setStringProperty("base64", to_base64(model));
    auto& atoms = node.createChildNode("Atoms");
    const bool is_subset = !force.getParticles().empty();
    for (size_t i = 0; i < force.getNumbers().size(); ++i) {
      auto& atom = atoms.createChildNode("Atom").setIntProperty("number", force.getNumbers()[i]);
      if (is_subset) atom.setIntProperty("particle", force.getParticles()[i]);
    }
    auto& bonds = node.createChildNode("Bonds");
    for (const auto& bond : force.getBonds()) {
      bonds.createChildNode("Bond").setIntProperty("particle1", bond.first).setIntProperty("particle2", bond.second);
    }
  }

  void* deserialize(const SerializationNode& node) const override {
    try {
      return read(node);
    } catch (const OpenMMException& error) {   // what OpenMM misses in a node it says without the name of the force
      const std::string why = error.what();
      throw OpenMMException(why.rfind("SpinConvForce", 0) == 0 ? why : "SpinConvForce: its XML is damaged: " + in_one_line(why));
    }
  }

 private:
  static SpinConvForce* read(const SerializationNode& node) {
    const int version = node.getIntProperty("version");
    if (version != xml_version) {
      throw OpenMMException("SpinConvForce: this XML is of version " + std::to_string(version) + ", this spinconv reads version " +
                            std::to_string(xml_version) + "; write it again with this spinconv, or update it");
    }
    std::vector<int> numbers, particles;
    for (const auto& atom : node.getChildNode("Atoms").getChildren()) {
      numbers.push_back(atom.getIntProperty("number"));
      if (atom.hasProperty("particle")) particles.push_back(atom.getIntProperty("particle"));
    }
    std::vector<std::string> models;
    for (const auto& model : node.getChildNode("Models").getChildren()) models.push_back(from_base64(model.getStringProperty("base64")));
    auto force = std::make_unique<SpinConvForce>(std::move(models), std::move(numbers), std::move(particles));
    for (const auto& bond : node.getChildNode("Bonds").getChildren()) {
      force->addBond(bond.getIntProperty("particle1"), bond.getIntProperty("particle2"));
    }
    force->setName(node.getStringProperty("name", force->getName()));
    force->setForceGroup(node.getIntProperty("forceGroup", 0));
    force->setUsesPeriodicBoundaryConditions(node.getBoolProperty("usesPeriodic"));
    force->setPrecision(node.getStringProperty("precision", ""));
    force->setDevice(node.getStringProperty("device", "cpu"));
    force->setEvaluator(node.getStringProperty("evaluator", ""));
    force->setThreads(node.getIntProperty("threads", 0));
    force->setSkin(node.getDoubleProperty("skin", 0.0));
    force->setNonconservative(node.getBoolProperty("nonconservative", false));
    return force.release();
  }
};

/// Made as the library is loaded. OpenMM keeps the proxy until the process ends, and deletes none.
const bool registered = [] {
  OpenMM::SerializationProxy::registerProxy(typeid(SpinConvForce), new SpinConvForceProxy());
  return true;
}();

}  // namespace
}  // namespace spinconv
