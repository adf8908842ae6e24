// SPDX-License-Identifier: Apache-2.0
#include "capi/handle.h"

using namespace tern;
using namespace tern::capi;

extern "C" {

tern_status tern_parameters_create(const tern_model* model, tern_parameters** parameters) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(parameters);
    *parameters = to_handle(new Parameters(*to_object(model)));
    return TERN_OK;
  });
}

void tern_parameters_retain(tern_parameters* parameters) noexcept {
  if (parameters) to_object(parameters)->retain();
}

void tern_parameters_release(tern_parameters* parameters) noexcept {
  if (parameters) to_object(parameters)->release();
}

uint64_t tern_parameters_version(const tern_parameters* parameters) noexcept {
  return parameters ? to_object(parameters)->version() : 0;
}

tern_status tern_parameters_get(const tern_parameters* parameters, const char* name, tern_tensor** tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(parameters);
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(tensor);
    Hold hold;
    TERN_TRY(hold.shared(to_object(parameters)->in_use, "these parameters"));
    const Parameters& p = *to_object(parameters);
    int32_t index;
    TERN_TRY(find_parameter(p.model().def(), name, &index));
    Ref<Tensor> t;
    TERN_TRY(p.get(index, &t));
    *tensor = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_parameters_set(tern_parameters* parameters, const char* name, const tern_tensor* tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(parameters);
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(tensor);
    Hold hold;
    TERN_TRY(hold.alone(to_object(parameters)->in_use, "these parameters"));
    Parameters& p = *to_object(parameters);
    int32_t index;
    TERN_TRY(find_parameter(p.model().def(), name, &index));
    return p.set(index, *to_object(tensor));
  });
}

tern_status tern_state_create(const tern_model* model, tern_state** state) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(state);
    Ref<State> s;
    TERN_TRY(State::create(*to_object(model), &s));
    *state = to_handle(s.detach());
    return TERN_OK;
  });
}

void tern_state_retain(tern_state* state) noexcept {
  if (state) to_object(state)->retain();
}

void tern_state_release(tern_state* state) noexcept {
  if (state) to_object(state)->release();
}

tern_status tern_state_fork(const tern_state* state, tern_state** copy) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    TERN_CHECK_NOT_NULL(copy);
    Hold hold;
    TERN_TRY(hold.shared(to_object(state)->in_use, "this state"));
    Ref<State> s;
    TERN_TRY(to_object(state)->fork(&s));
    *copy = to_handle(s.detach());
    return TERN_OK;
  });
}

int64_t tern_state_length(const tern_state* state) noexcept { return state ? to_object(state)->length() : 0; }

tern_status tern_state_truncate(tern_state* state, int64_t length) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    Hold hold;
    TERN_TRY(hold.alone(to_object(state)->in_use, "this state"));
    return to_object(state)->truncate(length);
  });
}

tern_status tern_state_get(const tern_state* state, const char* name, tern_tensor** tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(tensor);
    Hold hold;
    TERN_TRY(hold.shared(to_object(state)->in_use, "this state"));
    const State& s = *to_object(state);
    int32_t index;
    TERN_TRY(find_state(s.model().def(), name, &index));
    Ref<Tensor> t;
    TERN_TRY(s.get(index, &t));
    *tensor = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_state_set(tern_state* state, const char* name, const tern_tensor* tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(tensor);
    Hold hold;
    TERN_TRY(hold.alone(to_object(state)->in_use, "this state"));
    State& s = *to_object(state);
    int32_t index;
    TERN_TRY(find_state(s.model().def(), name, &index));
    return s.set(index, *to_object(tensor));
  });
}

tern_status tern_state_save(const tern_state* state, const char* path) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    TERN_CHECK_NOT_NULL(path);
    Hold hold;
    TERN_TRY(hold.shared(to_object(state)->in_use, "this state"));
    return to_object(state)->save(path);
  });
}

tern_status tern_state_load(tern_state* state, const char* path) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(state);
    TERN_CHECK_NOT_NULL(path);
    Hold hold;
    TERN_TRY(hold.alone(to_object(state)->in_use, "this state"));
    return to_object(state)->load(path);
  });
}
}
