// SPDX-License-Identifier: MIT
#include "harmonic_text.h"

#include "kernels/coupling.h"
#include "kernels/edges.h"
#include "kernels/forces.h"
#include "kernels/readout.h"
#include "kernels/receive.h"
#include "kernels/search.h"
#include "kernels/send.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace spinconv::gpu {
namespace {

using std::to_string;

/// A number as the kernels' language has it, whole.
std::string number(double value, bool is_double) {
  char text[40];
  std::snprintf(text, sizeof text, is_double ? "%.17e" : "%.9ef", value);
  return text;
}

/// The real harmonics of degree l and order m are q_l^m(z) times Re or Im (x + i y)^m, with q_l = first z q_l-1 - second q_l-2 (derivatives of Legendre
/// polynomials, https://en.wikipedia.org/wiki/Solid_harmonics#Real_form; the squares of one degree sum to 2 l + 1).
struct Recursion {
  double first = 0.0, second = 0.0;

  static double norm(int64_t l, int64_t m) { return std::sqrt((2.0 * l + 1.0) * (m > 0 ? 2.0 : 1.0) * std::exp(std::lgamma(l - m + 1.0) - std::lgamma(l + m + 1.0))); }
  Recursion(int64_t l, int64_t m) : first(norm(l, m) / norm(l - 1, m) * (2 * l - 1) / (l - m)) {
    if (l - m >= 2) second = norm(l, m) / norm(l - 2, m) * (l + m - 1) / (l - m);
  }
  /// q_m^m, a constant.
  static double begin(int64_t m) {
    double odd = 1.0;
    for (int64_t k = 1; k < 2 * m; k += 2) odd *= static_cast<double>(k);
    return norm(m, m) * odd;
  }
};

/// The functions `<name>_harmonics` and `<name>_harmonics_back` up to a degree.
class HarmonicsText {
 public:
  HarmonicsText(const std::string& name, int64_t degree, bool is_double) : name_(name), degree_(degree), is_double_(is_double) {}

  std::string text() const { return forward() + backward(); }

 private:
  static std::string name(const char* letter, int64_t n) { return letter + to_string(n); }
  std::string real(double value) const { return number(value, is_double_); }

  /// c_m, s_m: Re and Im (x + i y)^m.
  std::string powers() const {
    std::string text = "  const real c0 = R(1.0), s0 = R(0.0);\n";
    for (int64_t m = 1; m <= degree_; ++m)
      text += "  const real c" + to_string(m) + " = x * " + name("c", m - 1) + " - y * " + name("s", m - 1) + ", s" + to_string(m) + " = x * " + name("s", m - 1) + " + y * " +
              name("c", m - 1) + ";\n";
    return text;
  }

  std::string polar(int64_t l, int64_t m, const char* q) const {
    if (l == m) return real(Recursion::begin(m));
    const Recursion r(l, m);
    std::string text = real(r.first) + " * z * " + name(q, l - 1);
    if (l - m >= 2) text += " - " + real(r.second) + " * " + name(q, l - 2);
    return text;
  }

  std::string slope(int64_t l, int64_t m) const {
    if (l == m) return "R(0.0)";
    const Recursion r(l, m);
    std::string text = real(r.first) + " * (" + name("q", l - 1) + " + z * " + name("t", l - 1) + ")";
    if (l - m >= 2) text += " - " + real(r.second) + " * " + name("t", l - 2);
    return text;
  }

  static std::string place(int64_t l, int64_t m) { return "[" + to_string(l * l + l + m) + " * STRIDE]"; }

  std::string forward() const {
    std::string text = "FUNCTION void " + name_ + "_harmonics(real x, real y, real z, POINTER_TO_SHARED real* to) {\n" + powers();
    for (int64_t m = 0; m <= degree_; ++m) {
      text += "  {\n";
      for (int64_t l = m; l <= degree_; ++l) {
        text += "    const real " + name("q", l) + " = " + polar(l, m, "q") + ";\n    to" + place(l, m) + " = " + name("q", l) + " * " + name("c", m) + ";\n";
        if (m > 0) text += "    to" + place(l, -m) + " = " + name("q", l) + " * " + name("s", m) + ";\n";
      }
      text += "  }\n";
    }
    return text + "}\n";
  }

  /// From dE/dY to the derivatives by x, y and z.
  std::string backward() const {
    std::string text = "FUNCTION void " + name_ + "_harmonics_back(real x, real y, real z, POINTER_TO_SHARED const real* of, real* gx, real* gy, real* gz) {\n" + powers() +
                       "  real sx = R(0.0), sy = R(0.0), sz = R(0.0);\n";
    for (int64_t m = 0; m <= degree_; ++m) {
      text += std::string("  {\n    real of_c = R(0.0)") + (m > 0 ? ", of_s = R(0.0)" : "") + ";\n";
      for (int64_t l = m; l <= degree_; ++l) {
        text += "    const real " + name("q", l) + " = " + polar(l, m, "q") + ", " + name("t", l) + " = " + slope(l, m) + ";\n";
        text += "    { const real a = of" + place(l, m) + (m > 0 ? ", b = of" + place(l, -m) : "") + ";\n      of_c += " + name("q", l) + " * a;";
        if (m > 0) text += " of_s += " + name("q", l) + " * b;";
        text += " sz += " + name("t", l) + " * (" + name("c", m) + " * a" + (m > 0 ? " + " + name("s", m) + " * b" : "") + "); }\n";
      }
      if (m > 0)
        text += "    sx += R(" + to_string(m) + ".0) * (of_c * " + name("c", m - 1) + " + of_s * " + name("s", m - 1) + ");\n    sy += R(" + to_string(m) + ".0) * (of_s * " +
                name("c", m - 1) + " - of_c * " + name("s", m - 1) + ");\n";
      text += "  }\n";
    }
    return text + "  *gx = sx, *gy = sy, *gz = sz;\n}\n";
  }

  std::string name_;
  int64_t degree_;
  bool is_double_;
};

/// A product of two ring responses and what it gives to harmonics.
struct Term {
  int32_t a, b, place;
  std::vector<std::pair<int32_t, double>> values;   // harmonic, K
};

/// The functions `polynomial_of` and `polynomial_back`: order by order, so that only the responses of one are at hand.
class CouplingText {
 public:
  CouplingText(const native::Shape& shape, const native::RingCouplings& couplings, bool is_double) : shape_(shape), couplings_(couplings), is_double_(is_double) {
    for (const auto& block : couplings.blocks)
      for (size_t n = 0; n < block.products.size(); ++n) {
        Term term{block.products[n].a, block.products[n].b, block.products[n].place, {}};
        for (size_t h = 0; h < block.harmonics.size(); ++h)
          if (const double value = block.values[n * block.harmonics.size() + h]; value != 0.0) term.values.emplace_back(block.harmonics[h], value);
        terms_.push_back(std::move(term));
      }
    std::sort(terms_.begin(), terms_.end(), [](const Term& x, const Term& y) { return x.place < y.place; });
  }

  std::string text() const { return forward() + backward(); }

 private:
  std::string real(double value) const { return number(value, is_double_); }
  static std::string own(int32_t row) { return "f" + to_string(row); }
  static std::string partner(int32_t row) { return "g" + to_string(row); }
  int64_t degrees() const { return static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(shape_.n_low)))); }
  int64_t n_rows(int64_t m) const { return shape_.n_low - m * m; }
  int64_t n_terms(int64_t m) const { return n_rows(m) * (n_rows(m) + 1) / 2; }

  /// `each(m, its rows, its first term)`
  template <class Each>
  void over_orders(Each&& each) const {
    const int32_t* rows = couplings_.rows_by_order.data();
    int64_t first = 0;
    for (int64_t m = 0; m < degrees(); ++m) {
      each(m, rows, first);
      rows += n_rows(m), first += n_terms(m);
    }
  }

  std::string loads(int64_t m, const int32_t* rows) const {
    std::string text;
    for (int64_t n = 0; n < n_rows(m); ++n)
      text += "    const real " + own(rows[n]) + " = responses[" + to_string(2 * rows[n]) + " * CHANNELS], " + partner(rows[n]) + " = responses[" + to_string(2 * rows[n] + 1) +
              " * CHANNELS];\n";
    return text;
  }

  std::string forward() const {
    std::string text = "FUNCTION void polynomial_of(GLOBAL const real* RESTRICT responses, GLOBAL real* RESTRICT polynomial) {\n";
    for (int64_t h = 0; h < shape_.n_high; ++h) text += "  real p" + to_string(h) + " = R(0.0);\n";
    over_orders([&](int64_t m, const int32_t* rows, int64_t first) {
      text += "  {\n" + loads(m, rows);
      if (m == 0)
        for (const auto& one : couplings_.linear) text += "    p" + to_string(one.harmonic) + " += " + real(one.value) + " * " + own(one.row) + ";\n";
      for (int64_t n = first; n < first + n_terms(m); ++n) {
        const auto& term = terms_[n];
        text += "    { const real q = " + own(term.a) + " * " + partner(term.b) + " + " + own(term.b) + " * " + partner(term.a) + ";";
        for (const auto& [harmonic, value] : term.values) text += " p" + to_string(harmonic) + " += " + real(value) + " * q;";
        text += " }\n";
      }
      text += "  }\n";
    });
    for (int64_t h = 0; h < shape_.n_high; ++h) text += "  polynomial[" + to_string(h) + " * CHANNELS] = p" + to_string(h) + ";\n";
    return text + "}\n";
  }

  std::string backward() const {
    std::string text = "FUNCTION void polynomial_back(GLOBAL const real* RESTRICT of_polynomial, GLOBAL real* RESTRICT responses) {\n";
    for (int64_t h = 0; h < shape_.n_high; ++h) text += "  const real p" + to_string(h) + " = of_polynomial[" + to_string(h) + " * CHANNELS];\n";
    over_orders([&](int64_t m, const int32_t* rows, int64_t first) {
      text += "  {\n" + loads(m, rows);
      for (int64_t n = 0; n < n_rows(m); ++n) text += "    real of_" + own(rows[n]) + " = R(0.0), of_" + partner(rows[n]) + " = R(0.0);\n";
      if (m == 0)
        for (const auto& one : couplings_.linear) text += "    of_" + own(one.row) + " += " + real(one.value) + " * p" + to_string(one.harmonic) + ";\n";
      for (int64_t n = first; n < first + n_terms(m); ++n) {
        const auto& term = terms_[n];
        text += "    { const real q = ";
        for (size_t k = 0; k < term.values.size(); ++k) text += (k > 0 ? " + " : "") + real(term.values[k].second) + " * p" + to_string(term.values[k].first);
        text += "; of_" + own(term.a) + " += q * " + partner(term.b) + "; of_" + own(term.b) + " += q * " + partner(term.a) + "; of_" + partner(term.a) + " += q * " + own(term.b) +
                "; of_" + partner(term.b) + " += q * " + own(term.a) + "; }\n";
      }
      for (int64_t n = 0; n < n_rows(m); ++n)
        text += "    responses[" + to_string(2 * rows[n]) + " * CHANNELS] = of_" + own(rows[n]) + ", responses[" + to_string(2 * rows[n] + 1) + " * CHANNELS] = of_" +
                partner(rows[n]) + ";\n";
      text += "  }\n";
    });
    return text + "}\n";
  }

  const native::Shape& shape_;
  const native::RingCouplings& couplings_;
  bool is_double_;
  std::vector<Term> terms_;
};

/// Calls of responses_of and of_moments_by, one for each kernel: by degree, within it by order.
std::string calls_of_slots(const native::RingCouplings& couplings, int64_t degrees) {
  std::string forward = "#define ALL_RESPONSES(moments, kernels, c, first_channel, responses)", back = "#define ALL_OF_MOMENTS(of_responses, kernels, c, first_channel, sums)";
  size_t slot = 0;
  for (int64_t l = 0; l < degrees; ++l)
    for (int64_t m = 0; m <= l; ++m, ++slot) {
      const std::string which = to_string(l) + ", " + to_string(couplings.kernel[slot]) + ", " + to_string(couplings.first_row[slot]);
      forward += " \\\n  responses_of(" + which + ", moments, kernels, c, first_channel, responses);";
      back += " \\\n  of_moments_by(" + which + ", of_responses, kernels, c, first_channel, sums + " + to_string(l * l) + ");";
    }
  return forward + "\n" + back + "\n";
}

/// Numbers of type real in a work group's memory, in the kernel that needs most (send).
int64_t shared_numbers(const native::Shape& shape, int64_t edges) {
  return (edges + 4) * (shape.n_high + shape.n_low + 2 * shape.channels + 2 * (shape.channels / 4) + 2) + edges;
}

}  // namespace

int64_t edges_of_tile(const native::Shape& shape, bool is_double, int64_t shared_memory, int64_t most_threads) {
  for (const int64_t edges : {64, 32, 16})
    if (shared_numbers(shape, edges) * (is_double ? 8 : 4) + 3 * 4 * edges <= shared_memory && edges * shape.channels / 16 <= most_threads) return edges;
  return 0;
}

void harmonics_by_recursion(int64_t degree, const double (&n)[3], double* values) {
  double c = 1.0, s = 0.0;
  std::vector<double> q(degree + 1);
  for (int64_t m = 0; m <= degree; ++m) {
    for (int64_t l = m; l <= degree; ++l) {
      if (l == m) {
        q[l] = Recursion::begin(m);
      } else {
        const Recursion r(l, m);
        q[l] = r.first * n[2] * q[l - 1] - (l - m >= 2 ? r.second * q[l - 2] : 0.0);
      }
      values[l * l + l + m] = q[l] * c;
      if (m > 0) values[l * l + l - m] = q[l] * s;
    }
    const double next = n[0] * c - n[1] * s;
    s = n[0] * s + n[1] * c;
    c = next;
  }
}

std::string harmonic_text(const native::Shape& shape, const native::RingCouplings& couplings, const TextSettings& settings) {
  const auto degrees = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(shape.n_low))));
  std::string text;
  if (settings.is_double) text += "#define REAL_IS_DOUBLE\n";
  if (settings.has_double) text += "#define WIDE_IS_DOUBLE\n";
  const auto define = [&](const char* name, int64_t value) { text += std::string("#define ") + name + " " + to_string(value) + "\n"; };
  define("EDGES", settings.edges);
  define("CHANNELS", shape.channels);
  define("USED", shape.used);
  define("GROUP_CHANNELS", shape.group);
  define("LMAX", degrees - 1);
  define("N_LOW", shape.n_low);
  define("N_HIGH", shape.n_high);
  define("N_ROWS", shape.n_rows);
  define("PAIRS", settings.n_pairs);
  define("INTERVALS", settings.n_intervals);
  text += "#define PER_LENGTH " + number(settings.per_length, settings.is_double) + "\n";
  text += edges_page;
  text += HarmonicsText("low", degrees - 1, settings.is_double).text();
  text += HarmonicsText("high", 2 * (degrees - 1), settings.is_double).text();
  text += receive_page;
  text += send_page;
  text += CouplingText(shape, couplings, settings.is_double).text();
  text += calls_of_slots(couplings, degrees);
  text += coupling_page;
  text += readout_page;
  text += search_page;
  text += forces_page;
  return text;
}

}  // namespace spinconv::gpu
