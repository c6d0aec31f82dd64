// Another network plugin to which traffic inside a site is left
// (LONGHAUL_SITE_PLUGIN), the child: its library, and what each of our contexts
// holds of it. Of its devices the first is used.
//
// Any thread, as the child permits.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "abi/common.h"
#include "tables/library.h"
#include "tables/net_table.h"

namespace longhaul::nccl {

class SitePlugin {
 public:
  /// The child's device that is used.
  static constexpr int kDevice = 0;

  /// The plugin of a file, in the newest version that it has. A process loads a
  /// file once and never unloads it, as its threads may go on. kInvalidArgument
  /// says why the file is none.
  static Result<SitePlugin*> Load(const std::string& path);

  /// What one of our contexts holds of the child: one of its own, where the
  /// child's version has contexts.
  class Session {
   public:
    /// Everything made under it is gone by then.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    NetTable& net() { return *plugin_.net_; }
    void* context() { return context_; }
    /// Of one message.
    size_t longest() const { return longest_; }
    const char* name() const { return plugin_.net_->name(); }

   private:
    friend SitePlugin;
    explicit Session(SitePlugin& plugin) : plugin_(plugin) {}
    Status Open(uint64_t comm_id, abi::LogFn log);
    Status CheckDevice();

    SitePlugin& plugin_;
    bool open_ = false;
    void* context_ = nullptr;
    size_t longest_ = 0;
  };
  /// Initialises the child: at each call, or once per process where it has no
  /// contexts. `comm_id` and `log` are what NCCL gave; `log` may be null.
  Result<std::unique_ptr<Session>> Begin(uint64_t comm_id, abi::LogFn log);

 private:
  SitePlugin(std::string path, Library library, std::unique_ptr<NetTable> net);
  Status Fault(const std::string& what) const;
  Status Init(void** context, uint64_t comm_id, abi::LogFn log);

  const std::string path_;
  const Library library_;
  const std::unique_ptr<NetTable> net_;
  std::mutex mutex_;
  bool initialised_ = false;  ///< where the version has no contexts
};

/// What the child's `call` has answered, as a fault of ours.
Status ChildFault(const char* child, const char* call, abi::ResultCode code);

}  // namespace longhaul::nccl
