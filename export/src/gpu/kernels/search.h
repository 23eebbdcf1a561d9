// Kernels that find edges: from positions on the device, by cells or among candidates that an engine has listed, to the order of padded_edges.h.
//
// They count first, so that arrays have the size that is needed, and then write. Where an edge stands depends on positions alone: what atomic additions
// have left in the order of their arrival is put into order by rank.
//
// Cells divide the lattice vectors of periodic directions. Along others they are as wide as the cutoff, and numbered modulo their number: what is far away
// shares a cell and is passed over by its distance, so that no bounds of the positions are needed.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* search_page = R"KERNELS(
#ifdef __OPENCL_VERSION__
  #define ATOMIC_ADD(place, number) atomic_add(place, number)
#else
  #define ATOMIC_ADD(place, number) atomicAdd(place, number)
#endif
#define OWN_NUMBER (group * ATOM_THREADS + THREAD)

// ---- sums of what stands before

#define NUMBERS_OF_THREAD 8

#define MOST_NUMBERS 0x7fffffff
#define CLIPPED(sum) (int32_t)((sum) < MOST_NUMBERS ? (sum) : MOST_NUMBERS)

// Within tiles of 1024 numbers, made multiples of `multiple`; the sum of a tile goes to `sums`. More than can be numbered is MOST_NUMBERS.
KERNEL(ATOM_THREADS) sum_before(int32_t n, int32_t multiple, GLOBAL const int32_t* RESTRICT numbers, GLOBAL int32_t* RESTRICT first, GLOBAL int32_t* RESTRICT sums AND_GROUPS) {
  SHARED int64_t parts[2 * ATOM_THREADS];
  EACH_GROUP {
    const int begin = OWN_NUMBER * NUMBERS_OF_THREAD;
    int64_t own[NUMBERS_OF_THREAD], sum = 0;
#pragma unroll
    for (int k = 0; k < NUMBERS_OF_THREAD; ++k) {
      own[k] = sum;
      if (begin + k < n) sum += (numbers[begin + k] + multiple - 1) / multiple * multiple;
    }
    parts[THREAD] = sum;
    int from = 0;
    for (int width = 1; width < ATOM_THREADS; width *= 2, from = ATOM_THREADS - from) {
      SYNCHRONIZE;
      parts[ATOM_THREADS - from + THREAD] = parts[from + THREAD] + (THREAD >= width ? parts[from + THREAD - width] : 0);
    }
    SYNCHRONIZE;
    const int64_t before = THREAD > 0 ? parts[from + THREAD - 1] : 0;
#pragma unroll
    for (int k = 0; k < NUMBERS_OF_THREAD; ++k)
      if (begin + k < n) first[begin + k] = CLIPPED(before + own[k]);
    if (THREAD == ATOM_THREADS - 1) sums[group] = CLIPPED(before + sum);
  }
}

KERNEL(ATOM_THREADS) add_before(int32_t n, GLOBAL const int32_t* RESTRICT of_tiles, GLOBAL int32_t* RESTRICT first AND_GROUPS) {
  EACH_GROUP {
    const int k = OWN_NUMBER;
    if (k < n) first[k] = CLIPPED((int64_t)first[k] + of_tiles[k / (ATOM_THREADS * NUMBERS_OF_THREAD)]);
  }
}

// ---- cells

// `box`: the lattice vectors [3][3], [3][3] whose rows give parts of them by a product with a position, cells along each in all its length [3].
// `grid`: numbers of cells [3], how many to look at to each side [3], whether a direction is periodic [3].
FUNCTION int cell_along(wide part, wide cells, int n, int is_periodic) {
  wide place = floor(part * cells);
  if (!is_periodic) place -= n * floor(place / n);
  return place < n ? place > 0 ? (int)place : 0 : n - 1;   // also what is no number
}

// Puts atoms into the cell, and counts those of each cell. flags[1]: the last atom that has no place, counted from 1.
KERNEL(ATOM_THREADS) put_into_cells(int32_t n_atoms, GLOBAL const wide* RESTRICT positions, GLOBAL const wide* RESTRICT box, GLOBAL const int32_t* RESTRICT grid,
                                    GLOBAL wide* RESTRICT wrapped, GLOBAL int32_t* RESTRICT cells, GLOBAL int32_t* counts, GLOBAL int32_t* flags AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_atoms) continue;
    wide x[3] = {positions[3 * (int64_t)i], positions[3 * (int64_t)i + 1], positions[3 * (int64_t)i + 2]};
    if (!(x[0] - x[0] + x[1] - x[1] + x[2] - x[2] == 0)) flags[1] = i + 1, x[0] = x[1] = x[2] = 0;
    int cell = 0;
    wide from[3] = {x[0], x[1], x[2]};
    for (int k = 0; k < 3; ++k) {
      wide part = from[0] * box[9 + 3 * k] + from[1] * box[10 + 3 * k] + from[2] * box[11 + 3 * k];
      if (grid[6 + k]) {
        const wide whole = floor(part);
        part -= whole;
        for (int c = 0; c < 3; ++c) x[c] -= whole * box[3 * k + c];
      }
      cell = cell * grid[k] + cell_along(part, box[18 + k], grid[k], grid[6 + k]);
    }
    for (int c = 0; c < 3; ++c) wrapped[3 * (int64_t)i + c] = x[c];
    cells[i] = cell;
    ATOMIC_ADD(&counts[cell], 1);
  }
}

// The atoms of every cell, in any order; `counts` are taken down to zero.
KERNEL(ATOM_THREADS) list_by_cell(int32_t n_atoms, GLOBAL const int32_t* RESTRICT cells, GLOBAL const int32_t* RESTRICT first, GLOBAL int32_t* counts,
                                  GLOBAL int32_t* RESTRICT atoms AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i < n_atoms) atoms[first[cells[i]] + ATOMIC_ADD(&counts[cells[i]], -1) - 1] = i;
  }
}

// By their numbers, with their positions.
KERNEL(ATOM_THREADS) order_cells(int32_t n_atoms, GLOBAL const int32_t* RESTRICT cells, GLOBAL const int32_t* RESTRICT first, GLOBAL const int32_t* RESTRICT unordered,
                                 GLOBAL const wide* RESTRICT wrapped, GLOBAL int32_t* RESTRICT atoms, GLOBAL wide* RESTRICT positions AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_atoms) continue;
    const int begin = first[cells[i]], end = first[cells[i] + 1];
    int place = begin;
    for (int k = begin; k < end; ++k) place += unordered[k] < i;
    atoms[place] = i;
    for (int c = 0; c < 3; ++c) positions[3 * (int64_t)place + c] = wrapped[3 * (int64_t)i + c];
  }
}

// ---- edges

// Counts when `vectors` is null: flags[0] says of atoms on top of each other; else writes them where first[j] begins.
#define FOUND_ARGUMENTS GLOBAL const int32_t* RESTRICT elements, int32_t n_elements, wide cutoff, wide closest, wide closest_image, GLOBAL int32_t* sent, GLOBAL int32_t* received, \
    GLOBAL int32_t* flags, GLOBAL const int32_t* RESTRICT first, GLOBAL real* RESTRICT vectors, GLOBAL int32_t* RESTRICT senders, GLOBAL int32_t* RESTRICT targets, \
    GLOBAL int32_t* RESTRICT pairs
#define FOUND elements, n_elements, cutoff, closest, closest_image, sent, received, flags, first, vectors, senders, targets, pairs

FUNCTION void put_edge(int place, int j, int i, real x, real y, real z, GLOBAL const int32_t* RESTRICT elements, int32_t n_elements, GLOBAL real* RESTRICT vectors,
                       GLOBAL int32_t* RESTRICT senders, GLOBAL int32_t* RESTRICT targets, GLOBAL int32_t* RESTRICT pairs) {
  senders[place] = j, targets[place] = i, pairs[place] = elements[j] * n_elements + elements[i];
  vectors[3 * (int64_t)place] = x, vectors[3 * (int64_t)place + 1] = y, vectors[3 * (int64_t)place + 2] = z;
}

// The n-th edge of j, if it is one; how many there are then.
FUNCTION int take(int n, int j, int i, wide x, wide y, wide z, FOUND_ARGUMENTS) {
  const wide squared = x * x + y * y + z * z;
  if (!(squared < cutoff * cutoff)) return n;
  if (vectors != 0) {
    put_edge(first[j] + n, j, i, (real)x, (real)y, (real)z, elements, n_elements, vectors, senders, targets, pairs);
  } else {
    const wide allowed = i == j ? closest_image : closest;
    if (squared < allowed * allowed) flags[0] = 1;
    ATOMIC_ADD(&received[i], 1);
  }
  return n + 1;
}

// After the n edges of j.
FUNCTION void take_none(int n, int j, FOUND_ARGUMENTS) {
  if (vectors == 0) {
    sent[j] = n;
    return;
  }
  for (int place = first[j] + n; place < first[j + 1]; ++place)
    put_edge(place, j, j, (real)(2 * cutoff), R(0.0), R(0.0), elements, n_elements, vectors, senders, targets, pairs);
}

// A thread has an atom that sends; one more than there are has the last edge.
KERNEL(ATOM_THREADS) find_by_cells(int32_t n_atoms, GLOBAL const wide* RESTRICT wrapped, GLOBAL const wide* RESTRICT box, GLOBAL const int32_t* RESTRICT grid,
                                   GLOBAL const int32_t* RESTRICT cells, GLOBAL const int32_t* RESTRICT first_in_cell, GLOBAL const int32_t* RESTRICT atoms,
                                   GLOBAL const wide* RESTRICT positions, FOUND_ARGUMENTS AND_GROUPS) {
  EACH_GROUP {
    const int j = OWN_NUMBER;
    if (j == n_atoms && vectors != 0) put_edge(first[j], 0, 0, (real)(2 * cutoff), R(0.0), R(0.0), elements, n_elements, vectors, senders, targets, pairs);
    if (j >= n_atoms) continue;
    const wide x = wrapped[3 * (int64_t)j], y = wrapped[3 * (int64_t)j + 1], z = wrapped[3 * (int64_t)j + 2];
    const int own[3] = {cells[j] / (grid[1] * grid[2]), cells[j] / grid[2] % grid[1], cells[j] % grid[2]};
    int n = 0, at[3];
    for (at[0] = own[0] - grid[3]; at[0] <= own[0] + grid[3]; ++at[0])
      for (at[1] = own[1] - grid[4]; at[1] <= own[1] + grid[4]; ++at[1])
        for (at[2] = own[2] - grid[5]; at[2] <= own[2] + grid[5]; ++at[2]) {
          wide shift[3] = {0, 0, 0};
          int cell = 0, is_image = 0;
          for (int k = 0; k < 3; ++k) {
            const int image = at[k] >= 0 ? at[k] / grid[k] : -((grid[k] - 1 - at[k]) / grid[k]);
            cell = cell * grid[k] + at[k] - image * grid[k];
            if (!grid[6 + k]) continue;
            is_image |= image != 0;
            for (int c = 0; c < 3; ++c) shift[c] += image * box[3 * k + c];
          }
          for (int k = first_in_cell[cell]; k < first_in_cell[cell + 1]; ++k) {
            const int i = atoms[k];
            if (i != j || is_image)
              n = take(n, j, i, x - positions[3 * (int64_t)k] - shift[0], y - positions[3 * (int64_t)k + 1] - shift[1], z - positions[3 * (int64_t)k + 2] - shift[2], FOUND);
          }
        }
    take_none(n, j, FOUND);
  }
}

KERNEL(ATOM_THREADS) find_among(int32_t n_atoms, GLOBAL const wide* RESTRICT positions, GLOBAL const int32_t* RESTRICT own_rows, GLOBAL const int32_t* RESTRICT nodes,
                                GLOBAL const int32_t* RESTRICT first_row, GLOBAL const int32_t* RESTRICT rows, FOUND_ARGUMENTS AND_GROUPS) {
  EACH_GROUP {
    const int j = OWN_NUMBER;
    if (j == n_atoms && vectors != 0) put_edge(first[j], 0, 0, (real)(2 * cutoff), R(0.0), R(0.0), elements, n_elements, vectors, senders, targets, pairs);
    if (j >= n_atoms) continue;
    const int64_t own = own_rows[j];
    const wide x = positions[3 * own], y = positions[3 * own + 1], z = positions[3 * own + 2];
    if (!(x - x + y - y + z - z == 0)) flags[1] = j + 1;
    int n = 0;
    for (int k = first_row[j]; k < first_row[j + 1]; ++k) {
      const int64_t row = rows[k];
      if (nodes[row] >= 0) n = take(n, j, nodes[row], x - positions[3 * row], y - positions[3 * row + 1], z - positions[3 * row + 2], FOUND);
    }
    take_none(n, j, FOUND);
  }
}

// The edges that every node receives, in any order; `counts` are taken down to zero.
KERNEL(ATOM_THREADS) list_received(int32_t last_edge, wide cutoff, GLOBAL const real* RESTRICT vectors, GLOBAL const int32_t* RESTRICT targets, GLOBAL const int32_t* RESTRICT first,
                                   GLOBAL int32_t* counts, GLOBAL int32_t* RESTRICT received AND_GROUPS) {
  EACH_GROUP {
    const int e = OWN_NUMBER;
    if (e >= last_edge || vectors[3 * (int64_t)e] > (real)(3 * cutoff / 2)) continue;   // none that stands between
    received[first[targets[e]] + ATOMIC_ADD(&counts[targets[e]], -1) - 1] = e;
  }
}

// By their numbers, with the last edge up to a multiple of four, which stands there before.
KERNEL(ATOM_THREADS) order_received(int32_t last_edge, wide cutoff, GLOBAL const real* RESTRICT vectors, GLOBAL const int32_t* RESTRICT targets, GLOBAL const int32_t* RESTRICT first,
                                    GLOBAL const int32_t* RESTRICT unordered, GLOBAL int32_t* RESTRICT received AND_GROUPS) {
  EACH_GROUP {
    const int e = OWN_NUMBER;
    if (e >= last_edge || vectors[3 * (int64_t)e] > (real)(3 * cutoff / 2)) continue;
    const int begin = first[targets[e]], end = first[targets[e] + 1];
    int place = begin;
    for (int k = begin; k < end; ++k) place += unordered[k] < e;
    received[place] = e;
  }
}

KERNEL(ATOM_THREADS) set_numbers(int32_t n, int32_t number, GLOBAL int32_t* RESTRICT numbers AND_GROUPS) {
  EACH_GROUP {
    if (OWN_NUMBER < n) numbers[OWN_NUMBER] = number;
  }
}

// ---- batches of atoms for work groups, of as many as their edges fit a tile, within every ATOMS_IN_A_ROW of them

#define ATOMS_IN_A_ROW 64

// Counts when `batches` is null.
KERNEL(ATOM_THREADS) divide(int32_t n_atoms, GLOBAL const int32_t* RESTRICT first, GLOBAL int32_t* RESTRICT counts, GLOBAL const int32_t* RESTRICT places,
                            GLOBAL int32_t* RESTRICT batches AND_GROUPS) {
  EACH_GROUP {
    const int stretch = OWN_NUMBER, start = stretch * ATOMS_IN_A_ROW, end = start + ATOMS_IN_A_ROW < n_atoms ? start + ATOMS_IN_A_ROW : n_atoms;
    if (start >= n_atoms) continue;
    int n = 0, begin = start;
    for (int k = start; k < end; ++k) {
      if (k > start && first[k + 1] - first[begin] <= EDGES) continue;
      begin = k;
      if (batches != 0) batches[places[stretch] + n] = k;
      ++n;
    }
    if (batches == 0) counts[stretch] = n;
    else if (end == n_atoms) batches[places[stretch] + n] = n_atoms;
  }
}

// What the host must know: edges, places of received ones, batches of either, and the flags.
KERNEL(1) tell_sizes(int32_t n_atoms, int32_t n_nodes, GLOBAL const int32_t* RESTRICT sent_first, GLOBAL const int32_t* RESTRICT received_first, int32_t sent_stretches,
                     GLOBAL const int32_t* RESTRICT sent_places, int32_t received_stretches, GLOBAL const int32_t* RESTRICT received_places, GLOBAL int32_t* sizes AND_GROUPS) {
  EACH_GROUP {
    if (group > 0) continue;
    sizes[2] = sent_first[n_atoms], sizes[3] = received_first[n_nodes], sizes[4] = sent_places[sent_stretches], sizes[5] = received_places[received_stretches];
  }
}
)KERNELS";

}  // namespace spinconv::gpu
