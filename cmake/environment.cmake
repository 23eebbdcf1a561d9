# What the Python interpreter has: PyTorch, LAMMPS, OpenMM, vesin.

# Sets SPINCONV_ENVIRONMENT, what environment.py prints.
function(spinconv_read_environment)
  set(answer "{}")
  if(Python_FOUND)
    execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/environment.py OUTPUT_VARIABLE answer COMMAND_ERROR_IS_FATAL ANY)
  endif()
  set(SPINCONV_ENVIRONMENT "${answer}" PARENT_SCOPE)
endfunction()

# Sets `variable` to a fact about a package, such as torch's `folder`, or to "" where it is not known.
function(spinconv_fact variable package key)
  string(JSON fact ERROR_VARIABLE unknown GET "${SPINCONV_ENVIRONMENT}" ${package} ${key})
  if(unknown)
    set(fact "")
    if(key STREQUAL "problem" AND NOT Python_FOUND)
      set(fact "there is no Python interpreter to ask for ${package}")
    endif()
  endif()
  set(${variable} "${fact}" PARENT_SCOPE)
endfunction()
