#include "floor/star.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace longhaul::bench {
namespace {

constexpr Duration kPatience = 60 * kSecond;

Status Unreachable(const char* what, const Address& where) {
  return {
      StatusCode::kUnreachable,
      Text("%s %s: %s", what, where.ToString().c_str(), std::strerror(errno))};
}

void Configure(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  timeval patience{};
  patience.tv_sec = kPatience / kSecond;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

Result<Address> Locate(const HostPort& where, AddressFamily family) {
  Result<std::vector<Address>> found = Resolve(where.host, where.port, family);
  if (!found.ok()) return found.status();
  return found->front();
}

template <typename T>
void Merge(void* into, const void* from, size_t count, ReduceOp op) {
  auto* sums = static_cast<T*>(into);
  const auto* terms = static_cast<const T*>(from);
  for (size_t i = 0; i < count; ++i) {
    sums[i] = op == ReduceOp::kMax ? std::max(sums[i], terms[i])
                                   : static_cast<T>(sums[i] + terms[i]);
  }
}

bool Merge(void* into, const void* from, size_t count, DataType type,
           ReduceOp op) {
  if (op != ReduceOp::kMax && op != ReduceOp::kSum) return false;
  switch (type) {
    case DataType::kInt64:
      Merge<int64_t>(into, from, count, op);
      return true;
    case DataType::kUint64:
      Merge<uint64_t>(into, from, count, op);
      return true;
    case DataType::kFloat64:
      Merge<double>(into, from, count, op);
      return true;
    case DataType::kUint8:
      Merge<uint8_t>(into, from, count, op);
      return true;
    default:
      return false;
  }
}

}  // namespace

bool SendAll(int fd, const void* data, size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveAll(int fd, void* data, size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = recv(fd, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

Result<Star> Star::Join(const Options& options) {
  const Result<HostPort> where = SplitHostPort(options.rendezvous);
  if (!where.ok() || !options.rank || !options.world_size) {
    return Status(StatusCode::kInvalidArgument,
                  "set LONGHAUL_RENDEZVOUS, LONGHAUL_RANK and "
                  "LONGHAUL_WORLD_SIZE, or give --ranks");
  }
  Star star(*options.rank, *options.world_size);
  if (star.rank_ < 0 || star.rank_ >= star.size_) {
    return Status(StatusCode::kInvalidArgument,
                  Text("rank %d of %d", star.rank_, star.size_));
  }
  const Status status =
      star.rank_ == 0 ? star.Listen(*where) : star.Connect(*where);
  if (!status.ok()) return status;
  return star;
}

Status Star::Listen(const HostPort& where) {
  spokes_.resize(static_cast<size_t>(size_));
  if (size_ == 1) return {};
  const Result<Address> address = Locate(where, AddressFamily::kAuto);
  if (!address.ok()) return address.status();
  const UniqueFd listener(
      socket(address->SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  Configure(listener.get());
  sockaddr_storage storage{};
  const socklen_t size = address->ToSockaddr(&storage);
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 ||
      listen(listener.get(), size_) != 0) {
    return Unreachable("cannot listen at", *address);
  }
  for (int missing = size_ - 1; missing > 0; --missing) {
    UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) return Unreachable("nobody came to", *address);
    Configure(fd.get());
    int32_t rank = 0;
    if (!ReceiveAll(fd.get(), &rank, sizeof rank) || rank < 1 ||
        rank >= size_ || spokes_[static_cast<size_t>(rank)].valid()) {
      return {StatusCode::kCorrupt, "a stranger at the rendezvous"};
    }
    spokes_[static_cast<size_t>(rank)] = std::move(fd);
  }
  return {};
}

Status Star::Connect(const HostPort& where) {
  const TimePoint give_up = Now() + kPatience;
  const Result<Address> address = Locate(where, AddressFamily::kAuto);
  if (!address.ok()) return address.status();
  sockaddr_storage storage{};
  const socklen_t size = address->ToSockaddr(&storage);
  for (;;) {
    UniqueFd fd(socket(address->SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    Configure(fd.get());
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0) {
      sockaddr_storage own{};
      socklen_t own_size = sizeof own;
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &own_size);
      local_ =
          Address::FromSockaddr(reinterpret_cast<sockaddr*>(&own), own_size)
              .value_or(Address{});
      const int32_t rank = rank_;
      if (!SendAll(fd.get(), &rank, sizeof rank)) break;
      spokes_.push_back(std::move(fd));
      return {};
    }
    if (Now() > give_up) break;
    constexpr timespec kPause{0, 20'000'000};  // rank 0 may be later than we
    nanosleep(&kPause, nullptr);
  }
  return Unreachable("cannot reach rank 0 at", *address);
}

Status Star::Combine(void* data, size_t count, DataType type, ReduceOp op) {
  const size_t bytes = count * SizeOf(type);
  Status lost(StatusCode::kUnreachable, "a rank is gone");
  if (rank_ != 0) {
    const int hub = spokes_[0].get();
    const bool fine = SendAll(hub, data, bytes) && ReceiveAll(hub, data, bytes);
    return fine ? Status() : lost;
  }
  std::vector<char> terms(bytes);
  for (int r = 1; r < size_; ++r) {
    const int fd = spokes_[static_cast<size_t>(r)].get();
    if (!ReceiveAll(fd, terms.data(), bytes)) return lost;
    if (!Merge(data, terms.data(), count, type, op)) {
      return {StatusCode::kUnsupported, "the star merges sums and maxima only"};
    }
  }
  for (int r = 1; r < size_; ++r) {
    if (!SendAll(spokes_[static_cast<size_t>(r)].get(), data, bytes)) {
      return lost;
    }
  }
  return {};
}

}  // namespace longhaul::bench
