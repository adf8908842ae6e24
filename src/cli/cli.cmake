# SPDX-License-Identifier: Apache-2.0
# The `tern` command: on the public headers, with pictures from samples/image.h and src/image. Included by src/tern.cmake.

file(GLOB tern_cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.cpp)
add_executable(tern_cli ${tern_cli_sources} ${PROJECT_SOURCE_DIR}/src/image/draw.cpp ${PROJECT_SOURCE_DIR}/src/base/assignment.cpp)
set_target_properties(tern_cli PROPERTIES OUTPUT_NAME tern RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
target_include_directories(tern_cli PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_compile_options(tern_cli PRIVATE -Wall -Wextra -fno-rtti $<$<CONFIG:Release>:-O2>)  # -O3 compiles stb for twice as long
target_link_libraries(tern_cli PRIVATE tern)
if(TARGET tern_import_shared)
  target_compile_definitions(tern_cli PRIVATE TERN_WITH_IMPORT)
  target_link_libraries(tern_cli PRIVATE tern_import_shared)
endif()
install(TARGETS tern_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
