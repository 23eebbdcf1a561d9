// SPDX-License-Identifier: MIT
#include "opencl.h"

#include "shared_library.h"

namespace spinconv::gpu::opencl {
namespace {

Functions load() {
  SharedLibrary library({"libOpenCL.so.1"});
  Functions f{};
  library.find(f.get_platforms, "clGetPlatformIDs");
  library.find(f.get_platform, "clGetPlatformInfo");
  library.find(f.get_devices, "clGetDeviceIDs");
  library.find(f.get_device, "clGetDeviceInfo");
  library.find(f.create_context, "clCreateContext");
  library.find(f.release_context, "clReleaseContext");
  library.find(f.create_queue, "clCreateCommandQueue");
  library.find(f.release_queue, "clReleaseCommandQueue");
  library.find(f.finish, "clFinish");
  library.find(f.create_buffer, "clCreateBuffer");
  library.find(f.release_buffer, "clReleaseMemObject");
  library.find(f.write, "clEnqueueWriteBuffer");
  library.find(f.read, "clEnqueueReadBuffer");
  library.find(f.map, "clEnqueueMapBuffer");
  library.find(f.unmap, "clEnqueueUnmapMemObject");
  library.find(f.fill, "clEnqueueFillBuffer");
  library.find(f.create_from_source, "clCreateProgramWithSource");
  library.find(f.create_from_binary, "clCreateProgramWithBinary");
  library.find(f.release_program, "clReleaseProgram");
  library.find(f.build, "clBuildProgram");
  library.find(f.get_build, "clGetProgramBuildInfo");
  library.find(f.get_program, "clGetProgramInfo");
  library.find(f.create_kernel, "clCreateKernel");
  library.find(f.release_kernel, "clReleaseKernel");
  library.find(f.set_argument, "clSetKernelArg");
  library.find(f.launch, "clEnqueueNDRangeKernel");
  f.problem = library.problem();
  return f;
}

const char* name_of(Status status) {
  switch (status) {
    case 0: return "CL_SUCCESS";
    case -1: return "CL_DEVICE_NOT_FOUND";
    case -2: return "CL_DEVICE_NOT_AVAILABLE";
    case -3: return "CL_COMPILER_NOT_AVAILABLE";
    case -4: return "CL_MEM_OBJECT_ALLOCATION_FAILURE";
    case -5: return "CL_OUT_OF_RESOURCES";
    case -6: return "CL_OUT_OF_HOST_MEMORY";
    case -11: return "CL_BUILD_PROGRAM_FAILURE";
    case -14: return "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST";
    case -30: return "CL_INVALID_VALUE";
    case -33: return "CL_INVALID_DEVICE";
    case -34: return "CL_INVALID_CONTEXT";
    case -36: return "CL_INVALID_COMMAND_QUEUE";
    case -38: return "CL_INVALID_MEM_OBJECT";
    case -42: return "CL_INVALID_BINARY";
    case -43: return "CL_INVALID_BUILD_OPTIONS";
    case -44: return "CL_INVALID_PROGRAM";
    case -45: return "CL_INVALID_PROGRAM_EXECUTABLE";
    case -46: return "CL_INVALID_KERNEL_NAME";
    case -48: return "CL_INVALID_KERNEL";
    case -49: return "CL_INVALID_ARG_INDEX";
    case -50: return "CL_INVALID_ARG_VALUE";
    case -51: return "CL_INVALID_ARG_SIZE";
    case -52: return "CL_INVALID_KERNEL_ARGS";
    case -54: return "CL_INVALID_WORK_GROUP_SIZE";
    case -55: return "CL_INVALID_WORK_ITEM_SIZE";
    case -59: return "CL_INVALID_OPERATION";
    case -61: return "CL_INVALID_BUFFER_SIZE";
    case -63: return "CL_INVALID_GLOBAL_WORK_SIZE";
    case -1001: return "no platform is installed";
    default: return "an error";
  }
}

}  // namespace

const Functions& functions() {
  static const Functions loaded = load();
  return loaded;
}

std::string in_words(Status status) { return std::string(name_of(status)) + " (" + std::to_string(status) + ")"; }

}  // namespace spinconv::gpu::opencl
