// One process's end of the network in a test: the plugin opened and
// initialised, and connections made as NCCL makes them.
//
// Not thread-safe, unless a function says so.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "plugin/driver/pattern.h"
#include "plugin/driver/processes.h"
#include "plugin/driver/proxy.h"
#include "tables/net_table.h"

namespace longhaul::nccl {

inline constexpr abi::ResultCode kOk = abi::ResultCode::kSuccess;

/// A connection handle with a border around it that nobody may write to.
class Handle {
 public:
  void* data() { return bytes_.data(); }
  std::span<const std::byte> bytes() const {
    return {bytes_.data(), abi::kHandleBytes};
  }
  static Handle Of(const std::vector<std::byte>& bytes) {
    Handle handle;
    std::memcpy(handle.data(), bytes.data(), bytes.size());
    return handle;
  }
  bool BorderIsWhole() const {
    for (size_t at = abi::kHandleBytes; at < bytes_.size(); ++at) {
      if (bytes_[at] != kBorder) return false;
    }
    return true;
  }

 private:
  static constexpr std::byte kBorder{0xa5};
  std::array<std::byte, abi::kHandleBytes + 64> bytes_ = [] {
    std::array<std::byte, abi::kHandleBytes + 64> filled{};
    filled.fill(kBorder);
    return filled;
  }();
};

/// A listening object and its handle.
struct Listener {
  void* comm = nullptr;
  Handle handle;
};

class NetEnd {
 public:
  explicit NetEnd(int version, uint64_t comm_id = 1, abi::LogFn log = nullptr)
      : library_(Library::Open(LONGHAUL_PLUGIN_PATH).value()),
        net_(FindNet(library_, version)) {
    EXPECT_NE(net_, nullptr);
    EXPECT_EQ(net_->Init(&context_, comm_id, log), kOk);
  }
  ~NetEnd() { EXPECT_EQ(net_->Finalize(context_), kOk); }

  NetTable* net() { return net_.get(); }
  NetTable* operator->() { return net_.get(); }
  void* context() { return context_; }

  Listener Listen() {
    Listener listener;
    EXPECT_EQ(net_->Listen(context_, 0, listener.handle.data(), &listener.comm),
              kOk);
    EXPECT_NE(listener.comm, nullptr);
    EXPECT_TRUE(listener.handle.BorderIsWhole());
    return listener;
  }

  /// connect() until it gives a comm. Any thread.
  void* Connect(Handle handle) {
    void* comm = nullptr;
    while (!comm) {
      const abi::ResultCode code =
          net_->Connect(context_, 0, handle.data(), &comm);
      EXPECT_EQ(code, kOk);
      if (code != kOk) return nullptr;
      std::this_thread::yield();
    }
    EXPECT_TRUE(handle.BorderIsWhole());
    return comm;
  }

  /// accept() until it gives a comm. Any thread.
  void* Accept(void* listen_comm) {
    void* comm = nullptr;
    while (!comm) {
      const abi::ResultCode code = net_->Accept(listen_comm, &comm);
      EXPECT_EQ(code, kOk);
      if (code != kOk) return nullptr;
      std::this_thread::yield();
    }
    return comm;
  }

 private:
  Library library_;
  std::unique_ptr<NetTable> net_;
  void* context_ = nullptr;
};

/// Rank 0 sends, rank 1 receives; `comm` is null on other ranks.
struct OneWay {
  void* comm = nullptr;
  void* listen = nullptr;  ///< on rank 1
};

inline OneWay ConnectOneWay(NetEnd* end, Process* process) {
  OneWay way;
  if (process->rank() == 0) {
    way.comm = end->Connect(Handle::Of(process->Recv(1)));
  } else if (process->rank() == 1) {
    Listener listener = end->Listen();
    process->Send(0, listener.handle.bytes());
    way.comm = end->Accept(listener.comm);
    way.listen = listener.comm;
  }
  return way;
}

inline void CloseOneWay(NetEnd* end, Process* process, const OneWay& way) {
  if (process->rank() == 0) {
    EXPECT_EQ((*end)->CloseSend(way.comm), kOk);
  } else if (process->rank() == 1) {
    EXPECT_EQ((*end)->CloseRecv(way.comm), kOk);
    EXPECT_EQ((*end)->CloseListen(way.listen), kOk);
  }
}

/// A proxy's callbacks for PatternWord()'s bytes. `sizes` outlives them.
inline SlotFn Filling(uint64_t stream) {
  return [stream](size_t index, std::span<std::byte> slot) {
    FillPattern(stream, index, slot);
  };
}
inline SlotFn Checking(uint64_t stream, std::vector<size_t> sizes) {
  return [stream, sizes = std::move(sizes)](size_t index,
                                            std::span<std::byte> slot) {
    EXPECT_EQ(slot.size(), sizes[index]) << "message " << index;
    const auto wrong = FirstDifference(stream, index, slot);
    EXPECT_FALSE(wrong) << "message " << index << ", byte " << *wrong;
  };
}

/// Steps until done or failed.
template <typename Proxy>
abi::ResultCode Drive(Proxy* proxy) {
  while (!proxy->done()) {
    const abi::ResultCode code = proxy->Step();
    if (code != kOk) return code;
    std::this_thread::yield();
  }
  return kOk;
}

/// Sends or receives the messages over a connection, by rank.
inline void Stream(NetEnd* end, Process* process, void* comm,
                   const std::vector<size_t>& sizes, size_t recv_slot = 1,
                   uint64_t stream = 1) {
  if (process->rank() == 0) {
    SendProxy proxy(end->net(), comm, sizes, Filling(stream));
    EXPECT_EQ(Drive(&proxy), kOk);
  } else if (process->rank() == 1) {
    RecvProxy proxy(end->net(), comm, sizes, recv_slot,
                    Checking(stream, sizes));
    EXPECT_EQ(Drive(&proxy), kOk);
  }
}

/// test() until done; the size it told.
inline int Await(NetTable* net, void* request) {
  int done = 0;
  int size = -1;
  while (!done) {
    const abi::ResultCode code = net->Test(request, &done, &size);
    EXPECT_EQ(code, kOk);
    if (code != kOk) return -1;
    std::this_thread::yield();
  }
  return size;
}

/// isend() until it is taken.
inline void* SendSoon(NetTable* net, void* comm, void* data, size_t size) {
  void* request = nullptr;
  while (!request) {
    const abi::ResultCode code =
        net->Isend(comm, data, size, 0, nullptr, &request);
    EXPECT_EQ(code, kOk);
    if (code != kOk) return nullptr;
    std::this_thread::yield();
  }
  return request;
}

/// irecv() until it is taken.
inline void* RecvSoon(NetTable* net, void* comm, void* data, size_t size) {
  void* request = nullptr;
  while (!request) {
    const abi::ResultCode code =
        net->Irecv(comm, data, size, 0, nullptr, &request);
    EXPECT_EQ(code, kOk);
    if (code != kOk) return nullptr;
    std::this_thread::yield();
  }
  return request;
}

inline std::vector<Rank> OneSite() { return InSites({"paris", "paris"}); }
inline std::vector<Rank> TwoSites() { return InSites({"paris", "tokyo"}); }

}  // namespace longhaul::nccl
