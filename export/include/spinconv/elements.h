// Chemical symbols, for error texts and for engines that name elements.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spinconv {

inline const std::vector<std::string>& symbols() {
  static const std::vector<std::string> by_number = {
      "X",  "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",  "Cl", "Ar", "K",
      "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
      "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
      "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au",
      "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es",
      "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};
  return by_number;
}

/// "C" of 6; a number that is no element's stays one.
inline std::string symbol_of(int64_t number) {
  const bool is_element = number >= 1 && number < static_cast<int64_t>(symbols().size());
  return is_element ? symbols()[number] : std::to_string(number);
}

/// 6 of "C"; 0 where there is no such element.
inline int64_t number_of(const std::string& symbol) {
  for (size_t number = 1; number < symbols().size(); ++number) {
    if (symbols()[number] == symbol) return static_cast<int64_t>(number);
  }
  return 0;
}

/// "H C O" of 1, 6, 8.
inline std::string symbol_list(const std::vector<int64_t>& numbers) {
  std::string list;
  for (const auto number : numbers) list += (list.empty() ? "" : " ") + symbol_of(number);
  return list;
}

}  // namespace spinconv
