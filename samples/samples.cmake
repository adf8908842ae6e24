# SPDX-License-Identifier: Apache-2.0
# Small C programs on tern/tern.h, most with samples/image.h. Included by src/tern.cmake.

foreach(sample detect pose segment read track classify chat finetune_digits)
  add_executable(sample_${sample} ${PROJECT_SOURCE_DIR}/samples/${sample}.c)
  set_target_properties(sample_${sample} PROPERTIES OUTPUT_NAME ${sample} C_STANDARD 99 C_EXTENSIONS OFF
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/samples)
  target_compile_options(sample_${sample} PRIVATE -Wall -Wextra)
  target_link_libraries(sample_${sample} PRIVATE tern m)
endforeach()
