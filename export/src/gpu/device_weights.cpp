// SPDX-License-Identifier: MIT
#include "device_weights.h"

namespace spinconv::gpu {
namespace {

template <class T>
void append(std::vector<T>& to, const T* from, int64_t n) { to.insert(to.end(), from, from + n); }

}  // namespace

template <class T>
DeviceWeights<T>::DeviceWeights(Device& device, const native::Parameters<T>& parameters, int64_t n_elements) : n_pairs_(n_elements * n_elements), channels_(parameters.shape.channels) {
  const auto& s = parameters.shape;
  const int64_t matrix = channels_ * channels_;
  blocks_.resize(parameters.blocks.size());
  knots_.resize(1 + parameters.blocks.size());
  there_.assign(n_pairs_, 0);
  for (size_t k = 0; k < blocks_.size(); ++k) {
    const auto& block = parameters.blocks[k];
    const native::Embedding<T>* networks[] = {&block.of_neighborhood, &block.to_message};
    std::vector<T> all;
    for (const auto* w : networks) append(all, w->first.by_input, matrix), append(all, w->last.by_input, matrix);
    for (const auto* w : networks) append(all, w->first.by_output, matrix), append(all, w->last.by_output, matrix);
    for (const auto* w : networks) append(all, w->first_bias, channels_), append(all, w->last_bias, channels_);
    append(all, block.bias, channels_);
    for (const auto* w : networks) append(all, w->factors, n_pairs_ * channels_);
    append(all, block.kernels, s.n_kernels * s.group * 2 * channels_);
    blocks_[k].write(device, all);
  }
  std::vector<T> all;
  const auto& head = parameters.head;
  append(all, head.first.by_input, matrix);
  append(all, head.first.by_output, matrix);
  append(all, head.first_bias, channels_);
  append(all, head.last.by_input, channels_);   // the one row of W2
  all.insert(all.end(), {head.last_bias[0], T(0), T(0), T(0)});
  append(all, head.factors, n_elements * channels_);
  head_.write(device, all);
  std::vector<T> of_pairs;
  for (int64_t pair = 0; pair < n_pairs_; ++pair) of_pairs.insert(of_pairs.end(), {parameters.pairs.inner[pair], parameters.pairs.per_cutoff[pair]});
  of_pairs_.write(device, of_pairs);
}

template <class T>
void DeviceWeights<T>::require(Device& device, native::DistanceTables<T>& tables, int32_t pair) {
  if (there_[pair]) return;
  tables.require(pair);
  const int64_t n = (tables.initial().n_intervals + 1) * 3 * channels_;
  for (size_t k = 0; k < knots_.size(); ++k) {
    const auto& table = k == 0 ? tables.initial() : tables.of_block(static_cast<int64_t>(k) - 1);
    knots_[k].fit(device, n_pairs_ * n);
    device.write(const_cast<Memory&>(*knots_[k].get()), pair * n * static_cast<int64_t>(sizeof(T)), table.knots + pair * n, n * static_cast<int64_t>(sizeof(T)));
  }
  there_[pair] = 1;
}

template class DeviceWeights<float>;
template class DeviceWeights<double>;

}  // namespace spinconv::gpu
