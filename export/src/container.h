// The data part of a model file: metadata and weights, found by the file's seal. No archive is opened and no code of the file is run; torch
// is not needed. The Python twin, which writes such files, is export/container.py.
// SPDX-License-Identifier: MIT
#pragma once

#include "json.h"
#include "metadata.h"
#include "safetensors.h"

#include <string>
#include <string_view>
#include <vector>

namespace spinconv {

struct Container {
  std::string text;    // spinconv.json, whole
  Json said;           // the same: has the fields of the kind of model in its section `model`
  Metadata metadata;   // the same, checked
  std::vector<Tensor> tensors;   // borrowed from the file's bytes, which must live as long
  std::string_view weights;      // the same, as the bytes of weights.safetensors

  bool has(const std::string& name) const;
  /// Weights by their name; Error where there are none.
  const Tensor& tensor(const std::string& name) const;
  /// Of `weights`: equal for equal weights, whatever else two files say.
  std::string weights_sha256() const;
};

/// Error in a sentence, which calls the file `name`, for what is no whole model file of this format.
Container open_container(std::string_view bytes, const std::string& name);

/// Error unless weights and metadata are of one model, as far as both say the same thing.
void check_weights_fit(const Container& container);

}  // namespace spinconv
