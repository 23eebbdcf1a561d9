// The layers of a model, each with the arrays that its weights learn in, as the passes of a training step go through them.
// SPDX-License-Identifier: MIT
#pragma once

#include "layers.h"

#include <vector>

namespace spinconv::native {

template <class T>
struct Stage {
  LayerOf which;
  Layer<T> layer;
};

template <class T>
struct BlockStages {
  Stage<T> of_neighborhood[2], of_distance[2], to_message[2];
  Block<T> block;   // its kernels
  const T* bias;
  int64_t kernels_index, bias_index;
};

template <class T>
struct Stages {
  Stage<T> distance, initial_distance[2], initial_message[2], head[2];
  std::vector<BlockStages<T>> blocks;

  Stages(const Layers<T>& layers, int64_t width) {
    const auto stage = [&](const LayerOf& which, bool is_activated, int64_t n_in, int64_t n_out) {
      return Stage<T>{which, layers.layer(which, n_in, n_out, is_activated)};
    };
    const auto inner = [&](const LayerOf& which, bool is_activated) { return stage(which, is_activated, width, width); };
    distance = stage(layers.distance, false, layers.n_radial, width);
    for (int n = 0; n < 2; ++n) {
      initial_distance[n] = inner(layers.initial_distance[n], true);
      initial_message[n] = inner(layers.initial_message[n], n == 1);
    }
    for (const auto& of_block : layers.blocks) {
      BlockStages<T> made;
      for (int n = 0; n < 2; ++n) {
        made.of_neighborhood[n] = inner(of_block.of_neighborhood[n], true);
        made.of_distance[n] = inner(of_block.of_distance[n], n == 1);
        made.to_message[n] = inner(of_block.to_message[n], true);
      }
      made.block.kernels = layers[of_block.kernels];
      made.bias = layers[of_block.bias];
      made.kernels_index = of_block.kernels, made.bias_index = of_block.bias;
      blocks.push_back(made);
    }
    head[0] = inner(layers.energy[0], false);
    head[1] = stage(layers.energy[1], true, width, 1);
  }
};

}  // namespace spinconv::native
