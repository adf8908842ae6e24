// SPDX-License-Identifier: Apache-2.0
// Handles of the C ABI and the objects behind them.
#pragma once
#include "capi/call.h"
#include "runtime/session.h"
#include "tern/session.h"

// The session, and what the C calls lend out.
struct tern_session {
  std::unique_ptr<tern::Session> session;
  mutable tern::InUse in_use;
  std::vector<char> writes_parameters;  // per signature
  // Per signature: placements as given out; emptied by every call that may change them.
  mutable std::vector<std::vector<tern::Session::Placement>> placements;
  mutable bool lent = false;

  void forget_placements() {
    if (!lent) return;
    for (auto& list : placements) list.clear();
    lent = false;
  }
};

struct tern_cancel {
  std::atomic<int32_t> signalled{0};
};

namespace tern::capi {

// What a call uses, to its end. Errors: TERN_ERR_STATE, if another call uses it in a way that excludes this one.
class Hold {
 public:
  Hold() = default;
  ~Hold();
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  tern_status alone(InUse& object, const char* name);
  tern_status shared(InUse& object, const char* name);

 private:
  struct Held {
    InUse* object = nullptr;
    bool alone = false;
  };
  Held held_[3];
  int32_t count_ = 0;
};

// Tells the log of a failed call, unless the app itself ended it. Returns the status.
tern_status log_error(Context& context, tern_status status);

// A handle of these is the object itself.
#define TERN_HANDLE(handle, Object)                                                              \
  inline Object* to_object(handle* h) { return reinterpret_cast<Object*>(h); }                   \
  inline const Object* to_object(const handle* h) { return reinterpret_cast<const Object*>(h); } \
  inline handle* to_handle(Object* o) { return reinterpret_cast<handle*>(o); }                   \
  inline const handle* to_handle(const Object* o) { return reinterpret_cast<const handle*>(o); }
TERN_HANDLE(tern_context, Context)
TERN_HANDLE(tern_model, Model)
TERN_HANDLE(tern_tensor, Tensor)
TERN_HANDLE(tern_parameters, Parameters)
TERN_HANDLE(tern_state, State)
#undef TERN_HANDLE

// NULL = the defaults.
tern_status read_run_options(const tern_run_options* given, RunControl* out);
// dims [rank] of a caller; errors: TERN_ERR_INVALID_ARGUMENT (rank, NULL), TERN_ERR_SHAPE (negative), TERN_ERR_LIMIT.
tern_status read_shape(const int64_t* dims, int32_t rank, Shape* shape);
// What is the same for tensors of all roles.
void fill_tensor_info(const char* name, DType dtype, const Shape& shape, Encoding encoding, tern_tensor_info* info);

}  // namespace tern::capi
