# SPDX-License-Identifier: Apache-2.0
# libtern, shared and static, and what other projects need to find it. Included at the end of src/tern.cmake.

tern_floor(capi)

# Everything that tern_core is made of, and the floors above it.
get_target_property(tern_objects tern_core SOURCES)
list(APPEND tern_objects $<TARGET_OBJECTS:tern_capi>)
foreach(floor image text tasks data train)
  if(TARGET tern_${floor})
    list(APPEND tern_objects $<TARGET_OBJECTS:tern_${floor}>)
  endif()
endforeach()
list(REMOVE_DUPLICATES tern_objects)

# Sections of their own let the linker drop what nothing uses. Kernels are all used: by their table.
foreach(object ${tern_objects})
  string(REGEX REPLACE "^\\$<TARGET_OBJECTS:(.*)>$" "\\1" floor "${object}")
  if(TARGET ${floor} AND NOT floor MATCHES "_cpu_")
    target_compile_options(${floor} PRIVATE -ffunction-sections -fdata-sections)
  endif()
endforeach()

set(tern_map ${PROJECT_SOURCE_DIR}/src/capi/tern.map)
add_library(tern SHARED ${tern_objects})
set_target_properties(tern PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${tern_map})
target_link_options(tern PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL -Wl,--version-script=${tern_map} -Wl,-z,defs -Wl,-z,relro -Wl,-z,now
                    -Wl,-Map=${PROJECT_BINARY_DIR}/libtern.so.map)  # tests/capi/size_table reads it
# Relocations as bits instead of records: 90 kB less. The C library of the machine must know them (glibc 2.36); the linker
# writes into the file that it is needed.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,-z,pack-relative-relocs)
check_cxx_source_compiles("#include <features.h>
#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 36)
#error
#endif
int main() {}" tern_has_relr)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
option(TERN_RELR "Pack the relocations of libtern.so (needs glibc 2.36 where it runs)" ${tern_has_relr})
if(TERN_RELR)
  target_link_options(tern PRIVATE -Wl,-z,pack-relative-relocs)
endif()
if(TERN_SANITIZE)
  target_link_options(tern PRIVATE -Wl,-z,undefs)  # the sanitizers' functions are the executable's
else()
  # An app in C needs no C++ library, and one in C++ may have another version of it.
  target_sources(tern PRIVATE ${PROJECT_SOURCE_DIR}/src/capi/shared/cxx_library.cpp)
  target_link_options(tern PRIVATE -static-libstdc++ -static-libgcc)
endif()

add_library(tern_static STATIC ${tern_objects})
set_target_properties(tern_static PROPERTIES OUTPUT_NAME tern)

# A project in C alone has nobody else to name the C++ library.
set(tern_cxx_library "")
foreach(library stdc++ c++)
  if(library IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
    list(APPEND tern_cxx_library ${library})
  endif()
endforeach()
target_link_libraries(tern_static INTERFACE ${tern_cxx_library} m)

foreach(library tern tern_static)
  target_link_libraries(${library} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  set_target_properties(${library} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(tern::${library} ALIAS ${library})
endforeach()

# ---- installation ----------------------------------------------------------------------------------------------------

include(CMakePackageConfigHelpers)
set(tern_package ${CMAKE_INSTALL_LIBDIR}/cmake/tern)
set(tern_installed tern tern_static)
set(tern_headers_left_out PATTERN import.h EXCLUDE)
if(TARGET tern_import_shared)
  list(APPEND tern_installed tern_import_shared)
  set_target_properties(tern_import_shared PROPERTIES EXPORT_NAME import
    INTERFACE_INCLUDE_DIRECTORIES "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>;$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  set(tern_headers_left_out "")
endif()
install(TARGETS ${tern_installed} EXPORT tern LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tern DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${tern_headers_left_out})
install(EXPORT tern NAMESPACE tern:: FILE tern-targets.cmake DESTINATION ${tern_package})
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/tern-config.cmake @ONLY CONTENT
"# find_package(tern): tern::tern, tern::tern_static and, where it was built, tern::import.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(\${CMAKE_CURRENT_LIST_DIR}/tern-targets.cmake)
")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/tern-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/tern-config.cmake ${PROJECT_BINARY_DIR}/package/tern-config-version.cmake DESTINATION ${tern_package})
# Relative, so that the installed tree can be moved.
file(RELATIVE_PATH tern_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
list(TRANSFORM tern_cxx_library REPLACE "(.+)" "-l\\1 " OUTPUT_VARIABLE tern_cxx_flag)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/tern.pc @ONLY CONTENT
"prefix=\${pcfiledir}/@tern_prefix@
libdir=\${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: tern
Description: Runs and fine-tunes models on the device
Version: @PROJECT_VERSION@
Libs: -L\${libdir} -ltern
Libs.private: @tern_cxx_flag@-lm -ldl -pthread
Cflags: -I\${includedir}
")
install(FILES ${PROJECT_BINARY_DIR}/package/tern.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET tern_import_shared)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/tern-import.pc @ONLY CONTENT
"prefix=\${pcfiledir}/@tern_prefix@
libdir=\${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: tern-import
Description: Makes .tern files from ONNX and TFLite models
Version: @PROJECT_VERSION@
Libs: -L\${libdir} -ltern_import
Cflags: -I\${includedir}
")
  install(FILES ${PROJECT_BINARY_DIR}/package/tern-import.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/src/notices.txt DESTINATION ${CMAKE_INSTALL_DOCDIR})
