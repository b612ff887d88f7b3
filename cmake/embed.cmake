# descent_embed(ROOM HEADER NAMESPACE name=file...): compiles the bytes of files into a room, so that
# nothing has to be found at run time. HEADER declares `std::string_view name();` for each of them.
function(descent_embed room header namespace)
  set(out ${PROJECT_BINARY_DIR}/generated/descent/${room}/embedded.cpp)
  set(files "")
  foreach(pair IN LISTS ARGN)
    string(REGEX REPLACE "^[^=]*=" "" file ${pair})
    list(APPEND files ${PROJECT_SOURCE_DIR}/${file})
  endforeach()
  string(REPLACE ";" "," parts "${ARGN}")
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DHEADER=${header} -DNAMESPACE=${namespace}
      -DSOURCE=${PROJECT_SOURCE_DIR} -DPARTS=${parts} -P ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    COMMENT "Embedding the files of ${room}" VERBATIM)
  target_sources(descent_${room} PRIVATE ${out})
endfunction()
