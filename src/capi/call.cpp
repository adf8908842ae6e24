// SPDX-License-Identifier: Apache-2.0
#include "capi/handle.h"

namespace tern::capi {

tern_status check_not_null(const void* argument, const char* name) {
  return argument ? TERN_OK : TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is NULL", name);
}

namespace {
uint32_t struct_size(const void* given) {
  uint32_t size;
  std::memcpy(&size, given, sizeof size);
  return size;
}
}  // namespace

tern_status check_input_struct(const void* given, size_t first, size_t known, const char* name) {
  const uint32_t size = struct_size(given);
  if (size < first || size > kMaxStruct)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "%s: struct_size is %u, expected is %zu: set it with its _INIT macro or _init function", name,
                     size, known);
  for (size_t i = known; i < size; ++i)
    if (static_cast<const unsigned char*>(given)[i])
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: a field is set that this version (%d.%d.%d) does not know", name,
                       TERN_VERSION_MAJOR, TERN_VERSION_MINOR, TERN_VERSION_PATCH);
  return TERN_OK;
}

tern_status check_output_struct(const void* given, size_t first, const char* name) {
  TERN_TRY(check_not_null(given, name));
  const uint32_t size = struct_size(given);
  if (size < first || size > kMaxStruct)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "%s: struct_size is %u, expected is at least %zu: set it with its _INIT macro", name, size, first);
  return TERN_OK;
}

tern_status init_struct(void* out, size_t size, const void* defaults, size_t first, size_t known, const char* name) {
  TERN_TRY(check_not_null(out, name));
  if (size < first || size > kMaxStruct)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: size is %zu, expected is %zu", name, size, known);
  std::memset(out, 0, size);
  std::memcpy(out, defaults, size < known ? size : known);
  const uint32_t given = (uint32_t)size;
  std::memcpy(out, &given, sizeof given);
  return TERN_OK;
}

tern_status check_flags(uint32_t given, uint32_t known, const char* name) {
  if (given & ~known) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: unknown flags 0x%x", name, given & ~known);
  return TERN_OK;
}

Hold::~Hold() {
  while (count_ > 0) {
    const Held& h = held_[--count_];
    h.alone ? h.object->end_alone() : h.object->end_shared();
  }
}

tern_status Hold::alone(InUse& object, const char* name) {
  if (!object.begin_alone()) return TERN_FAIL(TERN_ERR_STATE, "another call uses %s: one at a time", name);
  held_[count_++] = {&object, true};
  return TERN_OK;
}

tern_status Hold::shared(InUse& object, const char* name) {
  if (!object.begin_shared()) return TERN_FAIL(TERN_ERR_STATE, "another call changes %s: wait for its end", name);
  held_[count_++] = {&object, false};
  return TERN_OK;
}

tern_status log_error(Context& context, tern_status status) {
  if (status != TERN_OK && status != TERN_ERR_CANCELLED && status != TERN_ERR_DEADLINE)
    context.log(0, "%s", thread_error().message);
  return status;
}

tern_status left_out(Capability capability, const char* entry) {
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: left out of this build of Tern, the CMake option %s brings it", entry,
                   option_of(capability));
}

}  // namespace tern::capi
