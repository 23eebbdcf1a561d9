// What LAMMPS' log says of a model, and what of a system looks unlike it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "spinconv/model.h"

#include <string>

namespace spinconv {

/// A paragraph from spinconv.json: name, weights, cutoff, elements, training set, errors, licence, citation. Ends with a newline.
std::string model_card(const ModelInfo &info, const std::string &file);

/// What a publication that uses the model cites, in BibTeX as LAMMPS' log.cite has it.
std::string bibtex(const ModelInfo &info);

}    // namespace spinconv
