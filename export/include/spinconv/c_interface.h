/* Model files evaluated from any language that calls C: what spinconv/export/native_library.py calls by ctypes. Lengths in Å, energies in eV.
 *
 * A function that can fail gives NULL or 0, and spinconv_error() then says in a sentence why; it is of the thread that asks. A model may be used by
 * one thread at a time.
 * SPDX-License-Identifier: MIT */
#ifndef SPINCONV_C_INTERFACE_H
#define SPINCONV_C_INTERFACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spinconv_model spinconv_model;

/* Of the last call of this thread that failed. */
const char *spinconv_error(void);

/* Whether that was because the native evaluator is not for this model, or this processor. */
int spinconv_error_is_not_native(void);

/* Reads the bytes of a file, which errors call `name`. `dtype`, `device`, `evaluator` and `threads` are those of spinconv::Options, "" and 0 for the usual;
 * forces that are no gradient are accepted. */
spinconv_model *spinconv_open(const char *bytes, size_t size, const char *name, const char *dtype, const char *device, const char *evaluator, int threads);
void spinconv_close(spinconv_model *model);

/* What computes: "native x86-64-v4" or "torch", and where. */
const char *spinconv_evaluator(const spinconv_model *model);
const char *spinconv_device(const spinconv_model *model);

/* Energies of atoms [n_atoms], forces [n_atoms][3] and virial [3][3], which is minus the sum over edges of vector outer dE/dvector; zeros of a model
 * with direct forces. Edges as spinconv::Graph has them: `source` sends, `target` receives, `vectors` [n_edges][3] go from the receiver to the sender. */
int spinconv_evaluate(spinconv_model *model, int64_t n_atoms, const int64_t *numbers, int64_t n_edges, const int64_t *source, const int64_t *target,
                      const double *vectors, double *energies, double *forces, double *virial);

/* Whether atoms can be given as they are, for their neighbours to be found where the model is computed: on a device, by kernels. */
int spinconv_finds_neighbors(spinconv_model *model);

/* The same of atoms at `positions` [n_atoms][3]; rows of `cell` are the lattice vectors of those directions that are `periodic`. `outside` [n_atoms], or
 * NULL, says which are unlike those of training (1 or 0; all 0 where the file does not know). */
int spinconv_evaluate_atoms(spinconv_model *model, int64_t n_atoms, const int64_t *numbers, const double *positions, const double *cell, const int *periodic,
                            double *energies, double *forces, double *virial, char *outside);

/* Whether the driver of NVIDIA's GPUs finds one. */
int spinconv_has_gpu(void);

#ifdef __cplusplus
}
#endif

#endif
