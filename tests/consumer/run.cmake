# Installs the build to a fresh prefix, moves that prefix, and builds and runs the consumer
# against it: cmake -DBUILD=... -DSOURCE=... -DCOMPILER=... -DGENERATOR=... -DEXPECT=... -P run.cmake
set(work ${BUILD}/consumer)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}\nfailed: ${code}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
file(RENAME ${work}/first ${work}/prefix)  # nothing installed may remember where it was put
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${work}/build -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${work}/prefix)
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/consumer)
string(STRIP "${output}" output)
if(NOT output STREQUAL EXPECT)
  message(FATAL_ERROR "consumer printed \"${output}\", not \"${EXPECT}\"")
endif()

file(GLOB_RECURSE texts ${work}/prefix/*.cmake)
foreach(file IN LISTS texts)
  file(READ ${file} text)
  foreach(path ${BUILD} ${SOURCE})
    string(FIND "${text}" "${path}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} names ${path}")
    endif()
  endforeach()
endforeach()
file(REMOVE_RECURSE ${work})
