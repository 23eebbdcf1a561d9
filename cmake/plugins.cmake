# Plugins that are built where their engine is found, and a note of each, build.json, which `spinconv --version` and error messages read.

# Adds the folder of a plugin for an ENGINE (LAMMPS or OPENMM), or says why not. The folder says spinconv_not_built(reason), or sets its
# directory property SPINCONV_ENGINE_VERSION.
function(spinconv_add_plugin engine folder name)
  set(wanted ${SPINCONV_${engine}})
  set(reason "")
  if(wanted STREQUAL "OFF")
    set(reason "SPINCONV_${engine} is OFF")
  elseif(NOT TARGET spinconv::torch)
    set(reason "${SPINCONV_TORCH_PROBLEM}")
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
  string(REGEX REPLACE "([\"\\\\])" "\\\\\\1" reason "${reason}")
  get_property(kinds GLOBAL PROPERTY SPINCONV_KINDS)
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
