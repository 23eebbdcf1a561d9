# Makes the target spinconv::torch and sets SPINCONV_TORCH_VERSION, SPINCONV_TORCH_ABI_VERSION (a number as torch/headeronly/version.h packs
# it), SPINCONV_TORCH_LIBRARIES (the folder) and SPINCONV_TORCH_RPATH (where an installed library looks for it), or SPINCONV_TORCH_PROBLEM.
#
# A PyTorch that is a Python package is taken by its folders. Its CMake package would do, were it not that for a CUDA build it wants
# the whole CUDA toolkit, which running needs as little as building against it does. The CMake package is for a libtorch without Python.
function(spinconv_find_torch)
  spinconv_fact(folder torch folder)
  get_filename_component(told "${Torch_DIR}/../../.." ABSOLUTE)
  if(Torch_DIR AND EXISTS ${told}/version.py)
    unset(Torch_DIR CACHE)   # of a Python package: meant so, or left here by an earlier build in this folder
    if(NOT folder)
      set(folder ${told})
    endif()
  endif()
  if(folder AND NOT Torch_DIR)
    file(STRINGS ${folder}/version.py version REGEX "^__version__")
    string(REGEX REPLACE "^__version__ = '(.*)'$" "\\1" version "${version}")
    set(libraries ${folder}/lib)
    add_library(spinconv_torch INTERFACE)
    target_include_directories(spinconv_torch SYSTEM INTERFACE ${folder}/include ${folder}/include/torch/csrc/api/include)
    # libtorch.so has no symbol of its own, but brings CUDA: linkers that drop what is not needed would drop it
    target_link_libraries(spinconv_torch INTERFACE
      -Wl,--no-as-needed ${libraries}/libtorch.so -Wl,--as-needed ${libraries}/libtorch_cpu.so ${libraries}/libc10.so)
  else()
    find_package(Torch QUIET)
    if(NOT Torch_FOUND)
      spinconv_fact(problem torch problem)
      set(SPINCONV_TORCH_PROBLEM "${problem}, or set -DTorch_DIR=<libtorch>/share/cmake/Torch" PARENT_SCOPE)
      return()
    endif()
    set(version ${Torch_VERSION})
    set(libraries ${TORCH_INSTALL_PREFIX}/lib)
    add_library(spinconv_torch INTERFACE)
    target_link_libraries(spinconv_torch INTERFACE torch)
  endif()
  add_library(spinconv::torch ALIAS spinconv_torch)
  message(STATUS "PyTorch ${version} in ${libraries}")
  set(SPINCONV_TORCH_VERSION ${version} PARENT_SCOPE)
  string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" ignored "${version}")
  math(EXPR abi_version "(${CMAKE_MATCH_1} << 56) | (${CMAKE_MATCH_2} << 48)" OUTPUT_FORMAT HEXADECIMAL)
  set(SPINCONV_TORCH_ABI_VERSION ${abi_version} PARENT_SCOPE)
  set(SPINCONV_TORCH_LIBRARIES ${libraries} PARENT_SCOPE)
  set(SPINCONV_TORCH_RPATH "$ORIGIN/../../torch/lib;${libraries}" PARENT_SCOPE)
endfunction()
