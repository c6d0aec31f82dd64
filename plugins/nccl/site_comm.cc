#include "site_comm.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"

namespace longhaul::nccl {
namespace {

constexpr size_t kRequests = 64;
constexpr size_t kHeader = 8;
/// What is read at a time where a message may begin: short messages come with
/// one system call.
constexpr size_t kStage = 4096;
/// Longer is no message but a stranger's bytes.
constexpr uint64_t kLongest = uint64_t{1} << 40;

Status Lost(const std::string& peer, const char* why) {
  return {StatusCode::kUnreachable, Text("lost %s: %s", peer.c_str(), why),
          FaultScope::kConnection};
}

/// A row of messages under way, oldest first. States are places in the row:
/// [tested, moved) is done and not yet asked for, [moved, posted) is under way.
template <typename Message>
class Row {
 public:
  Message* Post() {
    if (posted_ - oldest_ == kRequests) return nullptr;
    return &messages_[posted_++ % kRequests];
  }
  /// The one to move on; null if there is none.
  Message* Moving() {
    return moved_ == posted_ ? nullptr : &messages_[moved_ % kRequests];
  }
  void Moved() { ++moved_; }
  /// A message has been tested to its end. They may be in any order; a place is
  /// free once all before it are.
  void Over() {
    while (oldest_ != moved_ && messages_[oldest_ % kRequests].over) ++oldest_;
  }

 private:
  std::array<Message, kRequests> messages_;
  uint64_t oldest_ = 0;
  uint64_t moved_ = 0;
  uint64_t posted_ = 0;
};

class SiteSend final : public SendComm {
 public:
  SiteSend(UniqueFd socket, std::string peer)
      : socket_(std::move(socket)), peer_(std::move(peer)) {}

  Result<NetRequest*> Send(const void* data, size_t size,
                           void* /*mr*/) override {
    if (!fault_.ok()) return fault_;
    Message* message = row_.Post();
    if (message == nullptr) {
      Move();
      message = row_.Post();
      if (message == nullptr) return static_cast<NetRequest*>(nullptr);
    }
    message->comm = this;
    message->data = static_cast<const uint8_t*>(data);
    message->size = size;
    message->sent = 0;
    message->done = message->over = false;
    StoreLittle<uint64_t>(message->header.data(), size);
    Move();
    return static_cast<NetRequest*>(message);
  }

 private:
  struct Message final : NetRequest {
    Result<bool> Test(size_t* bytes) override {
      if (!done) comm->Move();
      if (!done) {
        if (!comm->fault_.ok()) return comm->fault_;
        return false;
      }
      *bytes = size;
      over = true;
      comm->row_.Over();
      return true;
    }
    SiteSend* comm = nullptr;
    const uint8_t* data = nullptr;
    size_t size = 0;
    size_t sent = 0;  ///< header included
    bool done = false;
    bool over = false;
    std::array<uint8_t, kHeader> header{};
  };

  void Move() {
    while (Message* message = row_.Moving()) {
      if (!fault_.ok() || !MoveOne(*message)) return;
      message->done = true;
      row_.Moved();
    }
  }

  // False: no more room now.
  bool MoveOne(Message& message) {
    while (message.sent < kHeader + message.size) {
      std::array<iovec, 2> parts;
      size_t count = 0;
      if (message.sent < kHeader) {
        parts[count++] = {message.header.data() + message.sent,
                          kHeader - message.sent};
      }
      const size_t of_data = std::max(message.sent, kHeader) - kHeader;
      if (of_data < message.size) {
        parts[count++] = {const_cast<uint8_t*>(message.data) + of_data,
                          message.size - of_data};
      }
      msghdr all{};
      all.msg_iov = parts.data();
      all.msg_iovlen = count;
      const ssize_t n =
          ::sendmsg(socket_.get(), &all, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        message.sent += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        return false;
      } else if (errno != EINTR) {
        fault_ = Lost(peer_, std::strerror(errno));
        return false;
      }
    }
    return true;
  }

  UniqueFd socket_;
  const std::string peer_;
  Row<Message> row_;
  Status fault_;
};

class SiteRecv final : public RecvComm {
 public:
  SiteRecv(UniqueFd socket, std::string peer)
      : socket_(std::move(socket)), peer_(std::move(peer)) {}

  Result<NetRequest*> Recv(void* data, size_t size, void* /*mr*/,
                           void* /*hint*/) override {
    if (!fault_.ok()) return fault_;
    Message* message = row_.Post();
    if (message == nullptr) {
      Move();
      message = row_.Post();
      if (message == nullptr) return static_cast<NetRequest*>(nullptr);
    }
    message->comm = this;
    message->data = static_cast<uint8_t*>(data);
    message->room = size;
    message->got = 0;
    message->known = message->done = message->over = false;
    return static_cast<NetRequest*>(message);
  }

 private:
  struct Message final : NetRequest {
    Result<bool> Test(size_t* bytes) override {
      if (!done) comm->Move();
      if (!done) {
        if (!comm->fault_.ok()) return comm->fault_;
        return false;
      }
      *bytes = size;
      over = true;
      comm->row_.Over();
      return true;
    }
    SiteRecv* comm = nullptr;
    uint8_t* data = nullptr;
    size_t room = 0;
    size_t size = 0;  ///< once known
    size_t got = 0;
    bool known = false;
    bool done = false;
    bool over = false;
  };

  void Move() {
    while (Message* message = row_.Moving()) {
      if (!fault_.ok() || !MoveOne(*message)) return;
      message->done = true;
      row_.Moved();
    }
  }

  // False: no more has come.
  bool MoveOne(Message& message) {
    while (!message.known) {
      if (staged() >= kHeader) {
        if (!TakeHeader(message)) return false;
      } else if (!FillStage()) {
        return false;
      }
    }
    const size_t from_stage = std::min(staged(), message.size - message.got);
    if (from_stage > 0) {
      std::memcpy(message.data + message.got, stage_.data() + begin_,
                  from_stage);
      begin_ += from_stage;
      message.got += from_stage;
    }
    while (message.got < message.size) {
      const ssize_t n =
          Read(message.data + message.got, message.size - message.got);
      if (n <= 0) return false;
      message.got += static_cast<size_t>(n);
    }
    return true;
  }

  bool TakeHeader(Message& message) {
    const auto size = LoadLittle<uint64_t>(stage_.data() + begin_);
    if (size > message.room) {
      fault_ = Status(
          size > kLongest ? StatusCode::kCorrupt : StatusCode::kInvalidArgument,
          Text("%s sent %llu bytes for a receive of %zu", peer_.c_str(),
               static_cast<unsigned long long>(size), message.room),
          FaultScope::kConnection);
      return false;
    }
    begin_ += kHeader;
    message.size = size;
    message.known = true;
    return true;
  }

  size_t staged() const { return end_ - begin_; }
  bool FillStage() {
    std::copy(stage_.begin() + static_cast<std::ptrdiff_t>(begin_),
              stage_.begin() + static_cast<std::ptrdiff_t>(end_),
              stage_.begin());
    end_ -= begin_;
    begin_ = 0;
    const ssize_t n = Read(stage_.data() + end_, stage_.size() - end_);
    if (n <= 0) return false;
    end_ += static_cast<size_t>(n);
    return true;
  }

  // Bytes read; 0 for none now, or a fault.
  ssize_t Read(uint8_t* to, size_t size) {
    for (;;) {
      const ssize_t n = ::recv(socket_.get(), to, size, MSG_DONTWAIT);
      if (n > 0) return n;
      if (n == 0) {
        fault_ = Lost(peer_, "it has closed the connection");
        return 0;
      }
      if (errno == EAGAIN) return 0;
      if (errno == EINTR) continue;
      fault_ = Lost(peer_, std::strerror(errno));
      return 0;
    }
  }

  UniqueFd socket_;
  const std::string peer_;
  Row<Message> row_;
  std::array<uint8_t, kStage> stage_;
  size_t begin_ = 0;
  size_t end_ = 0;
  Status fault_;
};

}  // namespace

std::unique_ptr<SendComm> MakeSiteSend(UniqueFd socket, std::string peer) {
  return std::make_unique<SiteSend>(std::move(socket), std::move(peer));
}

std::unique_ptr<RecvComm> MakeSiteRecv(UniqueFd socket, std::string peer) {
  return std::make_unique<SiteRecv>(std::move(socket), std::move(peer));
}

}  // namespace longhaul::nccl
