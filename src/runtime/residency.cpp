// SPDX-License-Identifier: Apache-2.0
#include "runtime/residency.h"

#include <algorithm>
#include <cstring>

namespace tern {

tern_status copy_now(const Backend& backend, const Copy& copy) {
  Fence done = 0;
  TERN_TRY(backend.api->copy(backend.self, {&copy, 1}, {}, &done));
  return done ? backend.api->wait(backend.self, done, UINT64_MAX) : TERN_OK;
}

// ---- residents ----

tern_status Resident::create(const tern_allocator& allocator, uint64_t bytes, const void* content, Ref<Resident>* out) {
  Ref<Resident> r = Ref<Resident>::adopt(new Resident(allocator, {}, bytes));
  if (!content) TERN_TRY(r->own_.allocate_zeroed(allocator, bytes));
  else {
    TERN_TRY(r->own_.allocate(allocator, bytes));
    if (bytes) std::memcpy(r->own_.data(), content, bytes);
  }
  *out = std::move(r);
  return TERN_OK;
}

Resident::~Resident() {
  for (Copied& c : copies_) free(c);
}

void Resident::free(Copied& c) const {
  if (c.buffer.handle) c.backend->api->free(c.backend->self, &c.buffer);
}

Resident::Copied* Resident::find(const Backend& backend) const {
  for (Copied& c : copies_)
    if (c.backend == &backend) return &c;
  return nullptr;
}

Resident::Copied* Resident::newest() const {
  for (Copied& c : copies_)
    if (c.version == version_) return &c;
  return nullptr;
}

tern_status Resident::read(const void** data) const {
  if (data_) return *data = data_.bytes, TERN_OK;
  const std::lock_guard lock(mutex_);
  if (host_version_ != version_) {
    const Copied* c = newest();
    if (!c) return TERN_FAIL(TERN_ERR_STATE, "the newest content was lost with its device");
    if (!own_.data()) TERN_TRY(own_.allocate(allocator_, bytes_));
    TERN_TRY(copy_now(*c->backend, {Copy::to_host, c->buffer, 0, {}, 0, own_.data(), bytes_}));
    host_version_ = version_;
  }
  *data = own_.data();
  return TERN_OK;
}

tern_status Resident::reserve() { return own_.data() ? TERN_OK : own_.allocate(allocator_, bytes_); }

void* Resident::overwrite() {
  host_version_ = ++version_;
  return own_.data();
}

tern_status Resident::acquire(const Backend& backend, Buffer* buffer, Uploads* uploads) {
  if (backend.limits.host_memory) {
    const void* data = nullptr;
    TERN_TRY(read(&data));
    *buffer = {const_cast<void*>(data), bytes_};
    return TERN_OK;
  }
  {
    const std::lock_guard lock(mutex_);
    Copied* c = find(backend);
    if (c && c->version == version_) {
      if (!data_ && host_version_ != version_) own_.reset();  // the device's to keep, until somebody reads here
      *buffer = c->buffer;
      return TERN_OK;
    }
  }
  const void* data = nullptr;
  TERN_TRY(read(&data));
  const std::lock_guard lock(mutex_);
  Copied* c = find(backend);
  if (!c) c = &copies_.emplace_back(Copied{&backend, {}});
  if (!c->buffer.handle) TERN_TRY(backend.api->alloc(backend.self, bytes_, MemoryKind::device, &c->buffer));
  *buffer = c->buffer;
  if (c->version == version_) return TERN_OK;  // another thread was faster
  uploads->copies.push_back({Copy::to_device, c->buffer, 0, {}, 0, const_cast<void*>(data), bytes_});
  uploads->items.push_back({this, &backend});
  c->version = version_;
  return TERN_OK;
}

void Resident::take_back(const Backend& backend) {
  const std::lock_guard lock(mutex_);
  if (Copied* c = find(backend)) c->version = 0;
  if (data_ || own_.data()) host_version_ = version_;
}

void Resident::wrote(const Backend& backend) {
  ++version_;
  if (backend.limits.host_memory) host_version_ = version_;
  else if (Copied* c = find(backend)) c->version = version_;
}

bool Resident::forget(const Backend& backend) {
  if (Copied* c = find(backend)) c->version = 0;
  return host_version_ == version_ || newest();
}

void Resident::hold(const Backend& backend) {
  if (backend.limits.host_memory) return;
  const std::lock_guard lock(mutex_);
  Copied* c = find(backend);
  if (!c) c = &copies_.emplace_back(Copied{&backend, {}});
  ++c->holders;
}

void Resident::let_go(const Backend& backend) {
  if (backend.limits.host_memory) return;
  const std::lock_guard lock(mutex_);
  Copied* c = find(backend);
  if (!c || --c->holders > 0 || (c->version == version_ && host_version_ != version_)) return;
  free(*c);
  copies_.erase(copies_.begin() + (c - copies_.data()));
}

// ---- derived ----

Derived::~Derived() {
  if (buffer_.handle) backend_->api->free(backend_->self, &buffer_);
}

tern_status Derived::refresh(const tern_allocator& allocator) {
  const std::lock_guard lock(mutex_);
  bool old = false;
  for (size_t i = 0; i < sources_.size(); ++i) old = old || versions_[i] != sources_[i]->version();
  if (!old) return TERN_OK;
  std::vector<const void*> sources(sources_.size());
  for (size_t i = 0; i < sources_.size(); ++i) TERN_TRY(sources_[i]->read(&sources[i]));
  if (backend_->limits.host_memory) {
    TERN_TRY(make_(args_.get(), sources.data(), buffer_.handle));
  } else {
    Block block;
    TERN_TRY(block.allocate(allocator, bytes_));
    TERN_TRY(make_(args_.get(), sources.data(), block.data()));
    TERN_TRY(copy_now(*backend_, {Copy::to_device, buffer_, 0, {}, 0, block.data(), bytes_}));
  }
  for (size_t i = 0; i < sources_.size(); ++i) versions_[i] = sources_[i]->version();
  return TERN_OK;
}

// ---- of a model ----

Ref<Resident> Residency::of_file(const tern_allocator& allocator, const void* bytes, uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto at = std::lower_bound(of_file_.begin(), of_file_.end(), bytes,
                                   [](const auto& entry, const void* b) { return std::less<>()(entry.first, b); });
  if (at != of_file_.end() && at->first == bytes && at->second->bytes() == size) return at->second;
  Ref<Resident> fresh = Ref<Resident>::adopt(new Resident(allocator, Data{bytes, {}}, size));
  if (at == of_file_.end() || at->first != bytes) of_file_.insert(at, {bytes, fresh});
  return fresh;
}

tern_status Residency::derive(const Backend& backend, const DerivedOrder& order, std::vector<Ref<Resident>> sources,
                              std::shared_ptr<Derived>* out) {
  const std::lock_guard lock(mutex_);
  std::erase_if(derived_, [](const std::weak_ptr<Derived>& d) { return d.expired(); });
  for (const std::weak_ptr<Derived>& weak : derived_) {
    std::shared_ptr<Derived> d = weak.lock();
    if (!d || d->backend_ != &backend || d->make_ != order.make || d->bytes_ != order.bytes ||
        d->order_ != order.words ||
        !std::equal(sources.begin(), sources.end(), d->sources_.begin(), d->sources_.end(),
                    [](const Ref<Resident>& a, const Ref<Resident>& b) { return a.get() == b.get(); }))
      continue;
    *out = std::move(d);
    return TERN_OK;
  }
  auto d = std::make_shared<Derived>();
  d->backend_ = &backend;
  d->order_ = order.words;
  d->make_ = order.make;
  d->args_ = order.args;
  d->bytes_ = order.bytes;
  d->versions_.assign(sources.size(), 0);
  d->sources_ = std::move(sources);
  TERN_TRY(backend.api->alloc(backend.self, order.bytes, MemoryKind::device, &d->buffer_));
  derived_.push_back(d);
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern
