// Edges on a device as the kernels take them (padded_edges.h has the order), from the host or found there (edge_search.h).
// SPDX-License-Identifier: MIT
#pragma once

#include "device_array.h"

namespace spinconv::gpu {

template <class T>
struct DeviceEdges {
  int64_t n_atoms = 0, n_nodes = 0;   // atoms, and with ghosts
  int32_t last = 0;                   // an edge of no atom, beyond all others
  int64_t n_sent_batches = 0, n_received_batches = 0;
  DeviceArray<T> vectors;                        // [last + 1][3]
  DeviceArray<int32_t> sender, target, pair;     // [last + 1]
  DeviceArray<int32_t> element;                  // [n_nodes]
  DeviceArray<int32_t> sent_first, received_first, received, sent_batches, received_batches;
};

}  // namespace spinconv::gpu
