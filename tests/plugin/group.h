// One process's membership of a CollNet group in a test: the plugin opened, the
// handles exchanged, the group connected.
//
// Not thread-safe.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "plugin/driver/collnet_table.h"
#include "plugin/driver/processes.h"

namespace longhaul::nccl {

class Group {
 public:
  static constexpr abi::ResultCode kOk = abi::ResultCode::kSuccess;

  explicit Group(int version, uint64_t comm_id = 1)
      : library_(Library::Open(LONGHAUL_PLUGIN_PATH).value()),
        collnet_(FindCollNet(library_, version)) {
    EXPECT_NE(collnet_, nullptr);
    EXPECT_EQ(collnet_->Init(&context_, comm_id, nullptr), kOk);
  }
  ~Group() {
    if (comm_) Close();
    EXPECT_EQ(collnet_->Finalize(context_), kOk);
  }

  /// Exchanges handles with all processes; every one must call it.
  void Listen(Process* process) {
    std::array<std::byte, abi::kHandleBytes> handle{};
    EXPECT_EQ(collnet_->Listen(context_, 0, handle.data(), &listen_), kOk);
    handles_ = process->AllGather(handle);
  }

  /// Blocks. False, and no comm, if the group could not be made.
  bool Connect(Process* process) {
    std::vector<void*> pointers;
    for (std::vector<std::byte>& handle : handles_) {
      pointers.push_back(handle.data());
    }
    const abi::ResultCode code =
        collnet_->Connect(pointers, process->rank(), listen_, &comm_);
    EXPECT_EQ(code == kOk, comm_ != nullptr);
    return code == kOk && comm_;
  }

  void Join(Process* process) {
    Listen(process);
    EXPECT_TRUE(Connect(process));
  }

  void Close() {
    EXPECT_EQ(collnet_->CloseColl(comm_), kOk);
    comm_ = nullptr;
    CloseListen();
  }
  void CloseListen() { EXPECT_EQ(collnet_->CloseListen(listen_), kOk); }

  CollNetTable* operator->() { return collnet_.get(); }
  void* comm() { return comm_; }

  /// Calls `post` until it gives a request; null if it failed.
  template <typename Post>
  void* Soon(Post post) {
    void* request = nullptr;
    while (!request) {
      const abi::ResultCode code = post(&request);
      EXPECT_EQ(code, kOk);
      if (code != kOk) return nullptr;
      if (!request) std::this_thread::yield();
    }
    return request;
  }

  /// test() until done or failed; `size` may be null.
  abi::ResultCode Await(void* request, int* size = nullptr) {
    int done = 0;
    while (!done) {
      const abi::ResultCode code = collnet_->Test(request, &done, size);
      if (code != kOk) return code;
      std::this_thread::yield();
    }
    return kOk;
  }

 private:
  Library library_;
  std::unique_ptr<CollNetTable> collnet_;
  void* context_ = nullptr;
  void* listen_ = nullptr;
  void* comm_ = nullptr;
  std::vector<std::vector<std::byte>> handles_;
};

}  // namespace longhaul::nccl
