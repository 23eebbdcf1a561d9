// The words of kernels in CUDA C++ and in OpenCL C: what both languages have by different names, and rows of four numbers. NVRTC defines
// __CUDACC_RTC__, OpenCL __OPENCL_VERSION__. Shared arrays stand where rows of four may. KERNEL_WITHIN says how many registers a thread should take. A kernel
// ends its arguments by AND_GROUPS and works on `group` within EACH_GROUP, after its shared arrays: with GROUPS_IN_TURN there are fewer groups than it
// has to do, which take turns. The text that follows has `#define REAL_IS_DOUBLE` before it, or not.
//
// An engine may put words of its own before it, as OpenMM does to every program: KERNEL, GLOBAL, RESTRICT and ATOMIC_ADD, which become ours, and types `real`
// and `real4` of its precision, beside which ours have other names.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* prelude = R"KERNELS(
#ifdef KERNEL
  #undef KERNEL
  #undef GLOBAL
  #undef RESTRICT
  #undef ATOMIC_ADD
  #define real our_real
  #define real4 our_real4
#endif

#ifdef REAL_IS_DOUBLE
  #ifdef __OPENCL_VERSION__
    #pragma OPENCL EXTENSION cl_khr_fp64 : enable
  #endif
  typedef double real;
  #if !defined(__OPENCL_VERSION__) && __CUDACC_VER_MAJOR__ >= 13   // which has two of them, by their alignment
  typedef double4_32a real4;
  #else
  typedef double4 real4;
  #endif
  #define R(number) number
#else
  typedef float real;
  typedef float4 real4;
  #define R(number) number##f
#endif

#ifdef __OPENCL_VERSION__
  typedef int int32_t;
  typedef long int64_t;
  #define KERNEL(threads) __kernel __attribute__((reqd_work_group_size(threads, 1, 1))) void
  #define KERNEL_WITHIN(threads, registers) KERNEL(threads)
  #define GLOBAL __global
  #define SHARED __local __attribute__((aligned(4 * sizeof(real))))
  #define POINTER_TO_SHARED __local
  #define FUNCTION static inline
  #define RESTRICT restrict
  #define SYNCHRONIZE barrier(CLK_LOCAL_MEM_FENCE)
  #define THREAD ((int)get_local_id(0))
  #define OWN_GROUP ((int)get_group_id(0))
  #define NUMBER_OF_GROUPS ((int)get_num_groups(0))
#else
  typedef int int32_t;
  typedef long long int64_t;
  #define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
  #ifdef REAL_IS_DOUBLE
    #define KERNEL_WITHIN(threads, registers) KERNEL(threads)
  #else   // as many groups at once as an SM's 65,536 registers are enough for
    #define KERNEL_WITHIN(threads, registers) extern "C" __global__ void __launch_bounds__(threads, 65536 / ((registers) * (threads)))
  #endif
  #define GLOBAL
  #define SHARED __shared__ __align__(4 * sizeof(real))
  #define POINTER_TO_SHARED
  #define FUNCTION __device__ __forceinline__
  #define RESTRICT __restrict__
  #define SYNCHRONIZE __syncthreads()
  #define THREAD ((int)threadIdx.x)
  #define OWN_GROUP ((int)blockIdx.x)
  #define NUMBER_OF_GROUPS ((int)gridDim.x)
#endif

#ifdef GROUPS_IN_TURN
  #define AND_GROUPS , int32_t n_groups
  #define EACH_GROUP for (int group = OWN_GROUP; group < n_groups; group += NUMBER_OF_GROUPS, SYNCHRONIZE)
#else
  #define AND_GROUPS
  #define EACH_GROUP for (int group = OWN_GROUP, is_done = 0; !is_done; is_done = 1)
#endif
)KERNELS";

}  // namespace spinconv::gpu
