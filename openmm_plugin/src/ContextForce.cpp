// SPDX-License-Identifier: MIT
#include "ContextForce.h"

#include <openmm/common/ContextSelector.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "context_kernels.h"
#include "searchable.h"
#include "units.h"

namespace spinconv {
namespace {

using OpenMM::Vec3;

constexpr int64_t threads = 128;   // of a group of our kernels

std::string text(const OpenMM::ComputeContext& context, bool has_double) {
  char unit[64];
  std::snprintf(unit, sizeof unit, has_double ? "%.17e" : "%.9ef", kj_per_mol_per_ev * angstrom_per_nm);
  return std::string(has_double ? "#define WIDE_IS_DOUBLE\n" : "") + (context.getUseDoublePrecision() ? "#define POSITIONS_ARE_DOUBLE\n" : "") +
         "#define FORCE_UNIT " + unit + "\n" + atoms_page;
}

OnDevice& on_device_of(Model& model) {
  if (auto* on_device = model.on_device()) return *on_device;
  throw Error("atoms cannot stay on the device with the evaluator " + model.info().evaluator);
}

bool is_zero(const OpenMM::mm_int4& cell) { return cell.x == 0 && cell.y == 0 && cell.z == 0; }

}  // namespace

ContextForce::ContextForce(const EngineContext& engine, std::shared_ptr<ContextDevice> device, const Atoms& atoms, Extrapolation& extrapolation, Model model)
    : engine_(engine), context_(*engine.context), device_(std::move(device)), atoms_(atoms), extrapolation_(extrapolation), model_(std::move(model)),
      on_device_(on_device_of(model_)) {
  extrapolation_.add(model_.info());
  program_ = device_->compile(text(context_, on_device_.has_double()));
  slots_ = device_->memory_of(context_.getPosq());
  if (context_.getUseMixedPrecision()) corrections_ = device_->memory_of(context_.getPosqCorrection());
  particles_ = device_->memory_of(context_.getAtomIndexArray());
  context_forces_ = device_->memory_of(context_.getLongForceBuffer());

  std::vector<int32_t> atom_of_particle(static_cast<size_t>(context_.getNumAtoms()), -1);
  for (size_t i = 0; i < atoms_.size(); ++i) atom_of_particle[static_cast<size_t>(atoms_.particles[i])] = static_cast<int32_t>(i);
  atom_of_particle_ = device_->allocate(static_cast<int64_t>(atom_of_particle.size() * sizeof(int32_t)));
  write(*atom_of_particle_, atom_of_particle);
  box_ = device_->allocate(9 * sizeof(double));
  energy_ = device_->allocate(sizeof(double));
  trouble_ = device_->allocate(sizeof(int32_t));
  device_->clear(*trouble_, 0, sizeof(int32_t));
  on_device_.set_atoms(static_cast<int64_t>(atoms_.size()), 0, atoms_.numbers.data());
}

std::string ContextForce::evaluator() const {
  return model_.info().evaluator + ", " + model_.info().dtype + " in the Context of platform " + engine_.platform;
}

double ContextForce::compute(OpenMM::ContextImpl& context, bool with_forces, bool with_energy) {
  const OpenMM::ContextSelector selector(context_);
  look_back();
  const auto begin = std::chrono::steady_clock::now();
  take_positions(context);
  Request request;
  request.gradients = with_forces;
  request.name = [&](int64_t atom) { return atoms_.name(atom); };
  on_device_.evaluate(request);
  if (with_forces) add_forces();
  has_run_ = true, had_forces_ = with_forces, was_in_step_ = extrapolation_.take_step();
  const double energy = with_energy ? read_energy() : 0.0;
  if (with_energy || !was_in_step_) look_back();
  model_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return energy;
}

void ContextForce::launch(const char* name, int64_t n, const std::vector<gpu::Argument>& arguments) {
  device_->launch(program_->kernel(name), (n + threads - 1) / threads, threads, arguments);
}

template <class Number>
void ContextForce::write(gpu::Memory& to, const std::vector<Number>& numbers) {
  device_->write(to, 0, numbers.data(), static_cast<int64_t>(numbers.size() * sizeof numbers[0]));
}

void ContextForce::take_positions(OpenMM::ContextImpl& context) {
  Vec3 a, b, c;
  context.getPeriodicBoxVectors(a, b, c);
  const Box box = {in_angstrom(a), in_angstrom(b), in_angstrom(c)};
  if (atoms_.periodic) check_cell(box, atoms_.size());
  on_device_.set_cell(box, {atoms_.periodic, atoms_.periodic, atoms_.periodic});
  const int32_t n_slots = context_.getNumAtoms();
  launch("gather", n_slots, {n_slots, particles_, atom_of_particle_, slots_, corrections_, cells(context), box_, &on_device_.positions()});
}

/// By how many cells OpenMM has moved each slot, where that matters: where the force sees no images. Written when it changes, as the atoms' order does.
const gpu::Memory* ContextForce::cells(OpenMM::ContextImpl& context) {
  const auto& now = context_.getPosCellOffsets();
  if (atoms_.periodic || std::all_of(now.begin(), now.end(), is_zero)) return nullptr;
  const auto bytes = static_cast<int64_t>(now.size() * sizeof now[0]);
  if (cells_here_.size() != now.size() || std::memcmp(cells_here_.data(), now.data(), static_cast<size_t>(bytes)) != 0) {
    cells_here_ = now;
    if (!cells_) cells_ = device_->allocate(bytes);
    write(*cells_, cells_here_);
  }
  Vec3 box[3];
  context.getPeriodicBoxVectors(box[0], box[1], box[2]);
  std::vector<double> numbers;
  for (const auto& vector : box)
    for (int c = 0; c < 3; ++c) numbers.push_back(vector[c]);
  if (on_device_.has_double()) {
    write(*box_, numbers);
  } else {
    write(*box_, std::vector<float>(numbers.begin(), numbers.end()));
  }
  return cells_.get();
}

void ContextForce::add_forces() {
  const int32_t n_slots = context_.getNumAtoms(), n_rows = context_.getPaddedNumAtoms();
  launch("scatter", n_slots, {n_slots, n_rows, particles_, atom_of_particle_, &on_device_.forces(), context_forces_, trouble_});
}

/// As a number of our own: energies of the reference atoms are in it, and the Context's buffer of energies may be of single precision. Where the device knows
/// no other, they are added up on the host.
double ContextForce::read_energy() {
  double energy = 0.0;
  if (on_device_.has_double()) {
    launch("add_energies", 1, {static_cast<int32_t>(atoms_.size()), &on_device_.energies(), energy_});
    device_->read(*energy_, 0, &energy, sizeof energy);
  } else {
    energy = on_device_.read_energy();
  }
  if (!std::isfinite(energy)) refuse_energy();
  return energy * kj_per_mol_per_ev;
}

void ContextForce::refuse_energy() {
  has_run_ = false;   // what else is wrong with it needs no other sentence
  device_->clear(*trouble_, 0, sizeof(int32_t));
  std::vector<double> of_atoms;
  on_device_.read_energies(of_atoms);
  const auto strange = std::find_if(of_atoms.begin(), of_atoms.end(), [](double e) { return !std::isfinite(e); });
  atoms_.refuse_result("energy of", strange == of_atoms.end() ? 0 : strange - of_atoms.begin());
}

/// At what an evaluation has left: a force that is no number, and atoms unlike those of training. In the steps of an integrator, which does not wait for the
/// device, that is done when the next evaluation begins, or an energy is asked for; else at once.
void ContextForce::look_back() {
  if (!has_run_) return;
  has_run_ = false;
  int32_t trouble = 0;
  if (had_forces_) device_->read(*trouble_, 0, &trouble, sizeof trouble);
  if (trouble != 0) {
    device_->clear(*trouble_, 0, sizeof trouble);
    atoms_.refuse_result("force on", trouble - 1);
  }
  if (extrapolation_.is_asked(was_in_step_) && on_device_.count_outside() > 0) extrapolation_.look(on_device_.read_graph(), was_in_step_);
}

}  // namespace spinconv
