# A room is a folder of src/descent: an object library that sees the rooms below it. The rooms
# together make libdescent.a.
define_property(GLOBAL PROPERTY DESCENT_ROOMS)

# descent_room(NAME NEEDS room...): compiles src/descent/NAME/**/*.cpp (but cli/main.cpp).
function(descent_room name)
  cmake_parse_arguments(ROOM "" "" "NEEDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/descent/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "cli/main\\.cpp$")
  if(NOT sources)  # a room of headers
    set(sources ${PROJECT_BINARY_DIR}/generated/descent/${name}/empty.cpp)
    file(CONFIGURE OUTPUT ${sources} CONTENT "")
  endif()
  add_library(descent_${name} OBJECT ${sources})
  set_target_properties(descent_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(descent_${name} PRIVATE descent_flags)
  target_link_libraries(descent_${name} PUBLIC descent_dependencies)
  set(all ${name})
  foreach(need IN LISTS ROOM_NEEDS)
    get_property(below GLOBAL PROPERTY DESCENT_ROOM_${need})
    list(APPEND all ${below})
  endforeach()
  list(REMOVE_DUPLICATES all)
  set_property(GLOBAL PROPERTY DESCENT_ROOM_${name} "${all}")
  set_property(GLOBAL APPEND PROPERTY DESCENT_ROOMS ${name})
endfunction()

# descent_registry(ROOM FOLDER REGISTRY): every file FOLDER/x.cpp of the room defines
# `void register_x(REGISTRY&)`; this writes the function that calls them all, in order of name.
# So adding a layer, an optimizer, a reader is adding one file, and no static initialiser can be
# dropped by the linker.
function(descent_registry room folder registry)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/descent/${room}/registry.h)
    return()
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/descent/${room}/${folder}/*.cpp)
  set(declarations "")
  set(calls "")
  foreach(file IN LISTS files)
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND declarations "void register_${stem}(${registry}&);\n")
    string(APPEND calls "  register_${stem}(registry);\n")
  endforeach()
  set(path ${PROJECT_BINARY_DIR}/generated/descent/${room}/${folder}_table.cpp)
  file(CONFIGURE OUTPUT ${path} CONTENT
"#include \"descent/${room}/registry.h\"\nnamespace descent::${room} {\n${declarations}\
void register_all(${registry}& registry) {\n${calls}  (void)registry;\n}\n}  // namespace descent::${room}\n" @ONLY)
  target_sources(descent_${room} PRIVATE ${path})
endfunction()

add_library(descent_dependencies INTERFACE)
target_link_libraries(descent_dependencies INTERFACE
  Threads::Threads OpenMP::OpenMP_CXX Eigen3::Eigen nlohmann_json::nlohmann_json fmt::fmt
  ZLIB::ZLIB JPEG::JPEG PNG::PNG PkgConfig::HWY PkgConfig::ZSTD PkgConfig::TOMLPLUSPLUS DNNL::dnnl
  sentencepiece::sentencepiece
  # Headers that only the room plot includes.
  $<LINK_ONLY:GIF::GIF> $<LINK_ONLY:PkgConfig::CAIRO>
  $<$<BOOL:${NLOPT_FOUND}>:PkgConfig::NLOPT>
  $<BUILD_INTERFACE:CLI11::CLI11>)  # only the program's sources see it, so a consumer needs none

# descent_objects(OUT room): the object files of a room and of all below it.
function(descent_objects out room)
  get_property(rooms GLOBAL PROPERTY DESCENT_ROOM_${room})
  set(objects "")
  foreach(name IN LISTS rooms)
    list(APPEND objects $<TARGET_OBJECTS:descent_${name}>)
  endforeach()
  set(${out} ${objects} PARENT_SCOPE)
endfunction()

# The library, the program and what is installed.
macro(descent_finish)
  include(GNUInstallDirs)
  include(CMakePackageConfigHelpers)
  get_property(rooms GLOBAL PROPERTY DESCENT_ROOMS)
  set(objects "")
  foreach(room IN LISTS rooms)
    list(APPEND objects $<TARGET_OBJECTS:descent_${room}>)
  endforeach()
  add_library(descent STATIC ${objects})
  add_library(descent::descent ALIAS descent)
  if(DESCENT_SANITIZE)  # whoever links it needs the sanitizers' run time
    target_link_options(descent PUBLIC -fsanitize=${DESCENT_SANITIZE})
  endif()
  target_link_libraries(descent PUBLIC descent_dependencies)
  target_compile_features(descent PUBLIC cxx_std_20)
  target_include_directories(descent PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

  if(EXISTS ${PROJECT_SOURCE_DIR}/src/descent/cli/main.cpp)
    add_executable(descent_program src/descent/cli/main.cpp)
    set_target_properties(descent_program PROPERTIES OUTPUT_NAME descent
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    target_link_libraries(descent_program PRIVATE descent descent_flags)
    install(TARGETS descent_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()

  install(TARGETS descent descent_dependencies EXPORT descentTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY src/descent/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/descent FILES_MATCHING PATTERN "*.h")
  install(EXPORT descentTargets NAMESPACE descent:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)
  configure_package_config_file(cmake/descentConfig.cmake.in ${PROJECT_BINARY_DIR}/descentConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/descentConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/descentConfig.cmake ${PROJECT_BINARY_DIR}/descentConfigVersion.cmake
    cmake/dependencies.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)
endmacro()
