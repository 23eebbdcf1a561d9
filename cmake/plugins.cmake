# Plugins that are built where their engine is found, and a note of each, build.json, which `spinconv --version` and error messages read.

# Adds the folder of a plugin for an ENGINE (LAMMPS or OPENMM), or says why not. The folder says spinconv_not_built(reason), or sets its
# directory property SPINCONV_ENGINE_VERSION.
function(spinconv_add_plugin engine folder name)
  set(wanted ${SPINCONV_${engine}})
  set(reason "")
  if(wanted STREQUAL "OFF")
    set(reason "SPINCONV_${engine} is OFF")
  elseif(NOT TARGET spinconv::model)
    set(reason "${SPINCONV_NO_COMPILER}")
  else()
    add_subdirectory(${folder})
    get_property(reason DIRECTORY ${folder} PROPERTY SPINCONV_NOT_BUILT)
    get_property(version DIRECTORY ${folder} PROPERTY SPINCONV_ENGINE_VERSION)
  endif()
  if(reason AND wanted STREQUAL "ON")
    message(FATAL_ERROR "${name} cannot be built: ${reason}")
  elseif(reason AND NOT wanted STREQUAL "OFF")
    spinconv_tell("${name} is not built: ${reason}. To build it once that is mended, in the folder of the sources: pip install --force-reinstall --no-deps .")
  elseif(NOT reason)
    message(STATUS "${name}: for ${version}")
  endif()
  spinconv_write_note(${folder} "${name}" "${version}" "${reason}")
endfunction()

# The same of libspinconv_torch.so, which export/ makes.
function(spinconv_note_torch)
  if(TARGET spinconv::torch)
    spinconv_write_note(export "evaluator torch" "torch ${SPINCONV_TORCH_VERSION}" "")
  elseif(TARGET spinconv::model)
    message(STATUS "evaluator torch is not built: ${SPINCONV_TORCH_PROBLEM}")
    spinconv_write_note(export "evaluator torch" "" "${SPINCONV_TORCH_PROBLEM}")
  else()
    spinconv_write_note(export "evaluator torch" "" "${SPINCONV_NO_COMPILER}")
  endif()
endfunction()

# Models of all kinds by torch; the native evaluator is for one.
function(spinconv_write_note folder name version reason)
  string(REGEX REPLACE "([\"\\\\])" "\\\\\\1" reason "${reason}")
  set(kinds harmonic)
  if(TARGET spinconv::torch)
    get_property(kinds GLOBAL PROPERTY SPINCONV_KINDS)
  endif()
  list(JOIN kinds "\", \"" kinds)
  file(WRITE ${PROJECT_BINARY_DIR}/${folder}/build.json
    "{\"plugin\": \"${name}\", \"engine\": \"${version}\", \"torch\": \"${SPINCONV_TORCH_VERSION}\", \"not_built\": \"${reason}\", \"kinds\": [\"${kinds}\"]}\n")
  install(FILES ${PROJECT_BINARY_DIR}/${folder}/build.json DESTINATION ${folder})
endfunction()

# For a plugin's folder: it cannot be built, because.
macro(spinconv_not_built reason)
  set_property(DIRECTORY PROPERTY SPINCONV_NOT_BUILT "${reason}")
  return()
endmacro()

# Warns, on the terminal too: pip shows nothing of a build that succeeds, and a user who misses a plugin would learn of it days later.
function(spinconv_tell sentence)
  message(WARNING "${sentence}")
  if(DEFINED SKBUILD AND UNIX)
    execute_process(COMMAND sh -c "printf '\\nspinconv: %s\\n' \"$1\" > /dev/tty" sh "${sentence}" ERROR_QUIET RESULT_VARIABLE ignored)
  endif()
endfunction()
