// Reads model.pt, finds what evaluates it, and answers for both.
// SPDX-License-Identifier: MIT
#include "spinconv/model.h"

#include "choice.h"
#include "container.h"
#include "native/buffer.h"
#include "probe.h"
#include "python_lock.h"

#include "spinconv/elements.h"

#include <new>
#include <utility>

namespace spinconv {
namespace {

/// Runs `step`; what is thrown leaves as an Error that begins with `failure`; after a lack of memory it ends with `advice`.
template <class Step>
auto in_words(const std::string& failure, const std::string& advice, Step&& step) -> decltype(step()) {
  try {
    return step();
  } catch (const Error&) {
    throw;
  } catch (const OutOfMemory& error) {
    throw Error(failure + ": " + error.what() + advice);
  } catch (const native::NotEnough& error) {
    throw Error(failure + ": not enough memory, " + std::to_string(error.bytes) + " bytes more could not be had" + advice);
  } catch (const std::bad_alloc&) {
    throw Error(failure + ": not enough memory" + advice);
  } catch (const std::exception& error) {
    throw Error(failure + ": " + error.what());
  }
}

void check_forces(const ModelInfo& info, const Options& options, const std::string& name) {
  if (info.direct_forces && !options.allow_direct_forces) {
    throw Error("the forces of " + name + " are direct, no gradient of any energy: no dynamics with them conserves one; where an engine takes such forces, say `direct_forces yes`");
  }
  if (!info.direct_forces && !info.conservative && !options.allow_nonconservative) {
    throw Error("the forces of " + name + " are not the gradient of its energy, which will not be conserved; say `nonconservative yes` (in Python: nonconservative=True) to have that");
  }
}

std::string size_of(const Graph& graph, const Request& request) {
  std::string text = std::to_string(graph.n_atoms) + " atoms and " + std::to_string(graph.n_edges) + " edges";
  if (request.chunk > 0 && request.chunk < graph.n_edges) text += ", " + std::to_string(request.chunk) + " at once";
  return text;
}

}  // namespace

struct Model::Implementation {
  ModelInfo info;
  std::unique_ptr<Evaluator> evaluator;
  std::vector<bool> known;   // by atomic number

  Implementation(const std::string& bytes, const std::string& name, const Options& options) {
    check_options(options);
    const auto container = open_container(bytes, name);
    in_words(name + " is damaged", "", [&] {
      info = container.metadata.info;
      info.metadata = container.text;
      info.weights_sha256 = container.weights_sha256();
      check_forces(info, options, name);
      if (!options.dtype.empty()) info.dtype = options.dtype;
      evaluator = choose_evaluator(container, name, options, info.dtype);
    });
    info.has_stages = evaluator->has_stages();
    info.n_moments = evaluator->n_moments();
    info.device = evaluator->device();
    info.evaluator = evaluator->name();
    for (const auto number : info.elements) {
      if (static_cast<size_t>(number) >= known.size()) known.resize(number + 1, false);
      known[number] = true;
    }
    const WithoutPythonLock without_lock;
    in_words(name + " cannot be evaluated", "", [&] {
      try {
        check_probe(container.metadata, info.dtype, *evaluator);
      } catch (const Error& error) {
        throw Error(name + " " + error.what());
      }
    });
  }

  void check_elements(const Graph& graph) const {
    for (int64_t i = 0; i < graph.n_atoms + graph.n_ghosts; ++i) {
      const auto number = graph.numbers[i];
      if (number < 0 || number >= static_cast<int64_t>(known.size()) || !known[number]) {
        throw Error("the model does not know element " + symbol_of(number) + " (of atom " + std::to_string(i) + ", counted from 0); it knows " +
                    symbol_list(info.elements));
      }
    }
  }
};

Model::Model(const std::string& path, const Options& options) : Model(from_bytes(read_file(path), options, path)) {}

Model Model::from_bytes(const std::string& bytes, const Options& options, const std::string& name) {
  return Model(std::make_unique<Implementation>(bytes, name, options));
}

Model::Model(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const ModelInfo& Model::info() const { return implementation_->info; }

void Model::evaluate(const Graph& graph, const Request& request, Result& result) {
  const WithoutPythonLock without_lock;
  in_words("the model failed on " + size_of(graph, request), "; evaluate fewer edges at once with `chunk`", [&] {
    implementation_->check_elements(graph);
    implementation_->evaluator->evaluate(graph, request, result);
  });
}

OnDevice* Model::on_device() { return implementation_->evaluator->on_device(); }

}  // namespace spinconv
