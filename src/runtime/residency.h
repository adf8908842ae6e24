// SPDX-License-Identifier: Apache-2.0
// The one owner of "these bytes, in this order, in this memory, at this version".
//
// A Resident is the content of one parameter, state or constant. The host or a device may hold its newest version; the
// others follow when somebody reads there. Copies in an order of a backend's own (packed weights) are Derived: they
// hang on the residents that they were made from, are shared by all plans that ask for the same, and are made anew when
// one of these has changed.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "base/ref.h"
#include "runtime/backend.h"

namespace tern {

class Resident;

// Uploads that were not submitted yet, and of what to where.
struct Uploads {
  std::vector<Copy> copies;
  std::vector<std::pair<Resident*, const Backend*>> items;
};

// Threads: reads, `acquire` and `hold` may come from many at a time; what writes (write, wrote, forget) comes alone, as
// runs that write a parameter or state do.
class Resident : public RefCounted<Resident> {
 public:
  // Bytes that somebody keeps, which are never written here.
  Resident(const tern_allocator& allocator, Data data, uint64_t bytes)
      : allocator_(allocator), data_(std::move(data)), bytes_(bytes) {}
  // Bytes of its own: a copy of `content`, or zeros where that is NULL. allocator: outlives it.
  static tern_status create(const tern_allocator& allocator, uint64_t bytes, const void* content, Ref<Resident>* out);
  ~Resident();

  uint64_t bytes() const { return bytes_; }
  uint64_t version() const { return version_; }
  // The content in the host's memory, fetched from a device if that has a newer one. Valid until the next write.
  tern_status read(const void** data) const;
  // For a caller that writes the whole content, of a resident with own bytes: memory for it; then, which cannot fail,
  // that memory, and what devices hold is old.
  tern_status reserve();
  void* overwrite();

  // A buffer with the content in the memory of `backend`. What has to be sent there is appended to `uploads`, which the
  // caller submits before the buffer is used; if that fails, `take_back`. Host memory: no copy.
  tern_status acquire(const Backend& backend, Buffer* buffer, Uploads* uploads);
  // What was sent there did not arrive: the host's content is the newest, as it was.
  void take_back(const Backend& backend);
  // Whoever has work that wrote the acquired buffer says so: all other copies are old.
  void wrote(const Backend& backend);
  // What that backend holds is not to be trusted. False if nobody else has the newest content.
  bool forget(const Backend& backend);
  // A device keeps a copy while somebody holds it there, or while it is the newest. Whoever shares a resident with
  // other threads holds it before acquire: in between, the last other holder could let go.
  void hold(const Backend& backend);
  void let_go(const Backend& backend);

 private:
  struct Copied {
    const Backend* backend;
    Buffer buffer;
    uint64_t version = 0;
    int32_t holders = 0;
  };
  Copied* find(const Backend& backend) const;
  Copied* newest() const;
  void free(Copied& c) const;

  const tern_allocator& allocator_;
  Data data_;  // not written; or
  mutable Block own_;
  uint64_t bytes_;
  uint64_t version_ = 1;
  mutable uint64_t host_version_ = 1;
  mutable std::vector<Copied> copies_;
  mutable std::mutex mutex_;
};

// Holds a resident on one device while it lives.
class Held {
 public:
  Held(Ref<Resident> item, const Backend& backend) : item_(std::move(item)), backend_(&backend) {
    item_->hold(backend);
  }
  Held(Held&&) noexcept = default;
  Held& operator=(Held&&) = delete;
  ~Held() {
    if (item_) item_->let_go(*backend_);
  }
  const Ref<Resident>& item() const { return item_; }
  const Backend& backend() const { return *backend_; }

 private:
  Ref<Resident> item_;
  const Backend* backend_;
};

// Bytes that a backend made from residents, in the memory of that backend.
class Derived {
 public:
  ~Derived();
  uint64_t bytes() const { return bytes_; }
  const Buffer& buffer() const { return buffer_; }
  std::span<const Ref<Resident>> sources() const { return sources_; }
  // Its content as the sources are now.
  tern_status refresh(const tern_allocator& allocator);

 private:
  friend class Residency;
  const Backend* backend_ = nullptr;
  std::string order_;
  tern_status (*make_)(const void* args, const void* const* sources, void* target) = nullptr;
  std::shared_ptr<const void> args_;
  std::vector<Ref<Resident>> sources_;
  std::vector<uint64_t> versions_;
  uint64_t bytes_ = 0;
  Buffer buffer_;
  std::mutex mutex_;
};

// The residents of a model's file, and what was derived from any.
class Residency {
 public:
  // Of bytes that live as long as the model, one for each address.
  Ref<Resident> of_file(const tern_allocator& allocator, const void* bytes, uint64_t size);
  // What was asked for before with the same words and sources, or a new one. Kept while somebody holds the pointer.
  tern_status derive(const Backend& backend, const DerivedOrder& order, std::vector<Ref<Resident>> sources,
                     std::shared_ptr<Derived>* out);

 private:
  std::mutex mutex_;
  std::vector<std::pair<const void*, Ref<Resident>>> of_file_;  // sorted by address
  std::vector<std::weak_ptr<Derived>> derived_;
};

}  // namespace tern
