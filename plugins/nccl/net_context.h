// What one init() of NCCL gives: a hold on the process, and all objects made
// under it, so that those that NCCL never closes (after an abort, a connect
// that failed half-way) are gone at finalize().
//
// Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "comm.h"
#include "process.h"
#include "site_plugin.h"

namespace longhaul::nccl {

class NetContext {
 public:
  /// `site`: null if there is no LONGHAUL_SITE_PLUGIN.
  NetContext(Process::Hold process, std::unique_ptr<SitePlugin::Session> site,
             uint64_t comm_id)
      : process_(std::move(process)),
        site_(std::move(site)),
        comm_id_(comm_id) {}
  /// Destroys what is left.
  ~NetContext() {
    // Not under the lock: an object may take another with it.
    while (NetObject* object = Any()) Destroy(object);
  }
  NetContext(const NetContext&) = delete;
  NetContext& operator=(const NetContext&) = delete;

  Process& process() { return *process_; }
  /// Null: traffic inside the site is ours.
  SitePlugin::Session* site() { return site_.get(); }
  uint64_t comm_id() const { return comm_id_; }

  /// Keeps an object until Destroy.
  template <typename T>
  T* Keep(std::unique_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    object->owner = this;
    objects_.insert(object.get());
    return object.release();
  }
  /// The object at an address that came from outside; null if there is none of
  /// that kind.
  template <typename T>
  T* Find(void* address) {
    const std::lock_guard lock(mutex_);
    const auto at = objects_.find(static_cast<NetObject*>(address));
    return at == objects_.end() ? nullptr : dynamic_cast<T*>(*at);
  }
  void Destroy(NetObject* object) {
    {
      const std::lock_guard lock(mutex_);
      if (objects_.erase(object) == 0) return;
    }
    delete object;
  }

 private:
  NetObject* Any() {
    const std::lock_guard lock(mutex_);
    return objects_.empty() ? nullptr : *objects_.begin();
  }

  Process::Hold process_;
  std::unique_ptr<SitePlugin::Session> site_;
  const uint64_t comm_id_;
  std::mutex mutex_;
  std::set<NetObject*> objects_;
};

}  // namespace longhaul::nccl
