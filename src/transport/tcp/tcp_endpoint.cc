#include "transport/tcp/tcp_endpoint.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/address.h"
#include "base/check.h"
#include "base/text.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul {
namespace {

constexpr size_t kTrash = 64 << 10;
constexpr const char* kBbr = "bbr";
/// Of a round trip, in hundredths: what is sent in it counts as limited.
constexpr int kBreathOfRoundTrip = 70;

bool UsesBbr(int fd) {
  const Result<std::string> control = CongestionControlOf(fd);
  return control.ok() && *control == kBbr;
}

int NotsentLowat(int fd) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  ::getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &size);
  return bytes;
}

void SetNotsentLowat(int fd, int bytes) {
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

std::string EndName(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* raw = reinterpret_cast<sockaddr*>(&storage);
  if (get(fd, raw, &size) != 0) return "?";
  const auto address = Address::FromSockaddr(raw, size);
  return address ? address->ToString() : "?";
}

}  // namespace

TcpEndpoint::TcpEndpoint(Engine& engine, UniqueFd socket)
    : Pollable(engine),
      socket_(std::move(socket)),
      name_(EndName(socket_.get(), ::getsockname) + " -> " +
            EndName(socket_.get(), ::getpeername)),
      bbr_(UsesBbr(socket_.get())),
      notsent_lowat_(NotsentLowat(socket_.get())),
      trash_(new uint8_t[kTrash]) {
  control_.reserve(kControlBytes);
}

TcpEndpoint::~TcpEndpoint() { Close(); }

Status TcpEndpoint::SetSink(ChunkSink& sink) {
  sink_ = &sink;
  Status watched = engine().Watch(socket_.get(), *this);
  if (watched.ok()) Wake();
  return watched;
}

bool TcpEndpoint::TrySend(const ChunkHeader& header, ConstBuffer payload,
                          void* cookie) {
  LH_DCHECK(payload.size == header.size && !finishing_);
  if (!socket_.valid()) return false;
  if (queued_ == kQueue) {
    refused_ = true;
    return false;
  }
  Outgoing& out = At(queued_);
  EncodeHeader(header, out.header);
  out.payload = payload;
  out.cookie = cookie;
  out.written = 0;
  ++queued_;
  if (writable_) Wake();
  return true;
}

bool TcpEndpoint::TrySendControl(const ChunkHeader& header,
                                 std::span<const uint8_t> payload) {
  LH_DCHECK(payload.size() == header.size && !finishing_);
  if (!socket_.valid()) return false;
  if (control_.size() + kHeaderSize + payload.size() > kControlBytes) {
    refused_ = true;
    return false;
  }
  const size_t at = control_.size();
  control_.resize(at + kHeaderSize + payload.size());
  EncodeHeader(header,
               std::span<uint8_t, kHeaderSize>(&control_[at], kHeaderSize));
  if (!payload.empty()) {
    std::memcpy(&control_[at + kHeaderSize], payload.data(), payload.size());
  }
  if (writable_) Wake();
  return true;
}

void TcpEndpoint::Divert() {
  if (in_payload_) diverted_ = true;
}

void TcpEndpoint::Finish() {
  finishing_ = true;
  if (socket_.valid()) Wake();
}

void TcpEndpoint::Close() {
  if (!socket_.valid()) return;
  engine().Unwatch(socket_.get());
  socket_.Reset();
  queued_ = 0;
  control_.clear();
}

void TcpEndpoint::SetPace(double bytes_per_second) {
  // Unlimited is all ones; a rate beyond what fits is no limit either.
  const uint64_t pace = bytes_per_second > 0 && bytes_per_second < 1e18
                            ? static_cast<uint64_t>(bytes_per_second)
                            : ~uint64_t{0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &pace,
               sizeof pace);
  tcp_info info{};
  const bool known = bbr_ && bytes_per_second > 0 && GetInfo(&info) &&
                     info.tcpi_min_rtt != ~0u;
  breath_every_ = known ? Duration{info.tcpi_min_rtt} * kMicrosecond *
                              kBreathOfRoundTrip / 100
                        : 0;
}

// A paced flow lets the kernel run out of unsent bytes once in a round trip,
// for less than a millisecond. TCP then takes the flow for one limited by its
// program, from which a congestion control learns nothing: BBR stays as bold as
// it starts and leaves the rate to the pace. Otherwise it would pace itself to
// a hundredth less than it has seen delivered, and in turn to a quarter more
// and less, and several flows with one line leave a part of it unused.
void TcpEndpoint::BeginBreath(TimePoint now) {
  if (breathing_ || now < next_breath_) return;
  breathing_ = true;
  SetNotsentLowat(socket_.get(), 1);  // no room until all is sent
}

void TcpEndpoint::EndBreath(TimePoint now) {
  breathing_ = false;
  next_breath_ = now + breath_every_;
  SetNotsentLowat(socket_.get(), notsent_lowat_);
}

// BBR (version 1) sends next to nothing for 200 ms whenever it has not seen its
// least round trip again for ten seconds (PROBE_RTT). Another control and back:
// it starts over, with the least round trip that TCP knows and the window as it
// is. While losses are being repaired the window is small, and only BBR knows
// what it was before.
bool TcpEndpoint::Renew() {
  if (!bbr_) return true;
  tcp_info info{};
  if (!GetInfo(&info) || info.tcpi_ca_state != TCP_CA_Open) return false;
  if (SetCongestionControl(socket_.get(), "reno").ok()) {
    (void)SetCongestionControl(socket_.get(), kBbr);
  }
  return true;
}

bool TcpEndpoint::GetInfo(tcp_info* info) const {
  socklen_t size = sizeof *info;
  return ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, info, &size) == 0;
}

bool TcpEndpoint::Drained() const { return queued_ == 0 && control_.empty(); }

void TcpEndpoint::Poll(uint32_t events, TimePoint now) {
  if (!socket_.valid()) return;
  if ((events & EPOLLOUT) != 0) writable_ = true;
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) readable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
  if (writable_) Write(now);
  if (readable_ && socket_.valid()) Read(now);
  if (readable_ && socket_.valid()) Wake();
}

void TcpEndpoint::Write(TimePoint now) {
  std::array<iovec, 2 * kQueue + 1> parts;
  while (queued_ > 0 || !control_.empty()) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = Gather(parts.data());
    if (breath_every_ > 0) BeginBreath(now);
    const ssize_t sent =
        ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      writable_ = false;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      Fail(StatusCode::kUnreachable, std::strerror(errno));
      return;
    }
    bytes_sent_ += static_cast<uint64_t>(sent);
    if (breathing_) EndBreath(now);
    Written(static_cast<size_t>(sent));
    if (!socket_.valid()) return;  // closed from within Sent
  }
  if (refused_ && (queued_ < kQueue || control_.empty())) {
    refused_ = false;
    sink_->Writable(*this);
  }
  if (finishing_ && socket_.valid() && queued_ == 0 && control_.empty()) {
    ::shutdown(socket_.get(), SHUT_WR);
  }
}

size_t TcpEndpoint::Gather(iovec* out) const {
  size_t parts = 0;
  const auto add = [&](const void* data, size_t size) {
    if (size > 0) out[parts++] = {const_cast<void*>(data), size};
  };
  const auto add_frame = [&](const Outgoing& frame) {
    if (frame.written < kHeaderSize) {
      add(frame.header.data() + frame.written, kHeaderSize - frame.written);
      add(frame.payload.data, frame.payload.size);
    } else {
      const size_t done = frame.written - kHeaderSize;
      add(static_cast<const uint8_t*>(frame.payload.data) + done,
          frame.payload.size - done);
    }
  };
  size_t next = 0;
  if (queued_ > 0 && At(0).written > 0) add_frame(At(next++));
  add(control_.data() + control_written_, control_.size() - control_written_);
  while (next < queued_) add_frame(At(next++));
  return parts;
}

void TcpEndpoint::Written(size_t bytes) {
  const auto take_frame = [&] {
    Outgoing& frame = At(0);
    const size_t part = std::min(bytes, frame.size() - frame.written);
    frame.written += part;
    bytes -= part;
    if (frame.written < frame.size()) return false;
    void* cookie = frame.cookie;
    first_ = (first_ + 1) % kQueue;
    --queued_;
    sink_->Sent(*this, cookie);
    return socket_.valid();
  };
  if (queued_ > 0 && At(0).written > 0 && !take_frame()) return;
  const size_t part = std::min(bytes, control_.size() - control_written_);
  control_written_ += part;
  bytes -= part;
  if (control_written_ == control_.size()) {
    control_.clear();
    control_written_ = 0;
  }
  while (bytes > 0 && take_frame()) {
  }
}

void TcpEndpoint::Read(TimePoint now) {
  for (size_t budget = kReadBudget; budget > 0;) {
    std::array<iovec, 2> parts;
    size_t count = 0;
    if (in_payload_) {
      const size_t left = header_.size - payload_have_;
      if (diverted_ || place_.data == nullptr) {
        parts[count++] = {trash_.get(), std::min(left, kTrash)};
      } else {
        parts[count++] = {static_cast<uint8_t*>(place_.data) + payload_have_,
                          left};
      }
      if (parts[0].iov_len == left) {
        parts[count++] = {ahead_.data(), kReadAhead};
      }
    } else {
      parts[count++] = {ahead_.data(), kReadAhead};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (got == 0) {
      Fail(StatusCode::kUnreachable, "the peer closed it");
      return;
    }
    if (got < 0) {
      if (errno == EINTR) continue;
      readable_ = false;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      Fail(StatusCode::kUnreachable, std::strerror(errno));
      return;
    }
    bytes_received_ += static_cast<uint64_t>(got);
    if (!TakeBytes(static_cast<size_t>(got), now)) return;
    size_t asked = 0;
    for (size_t i = 0; i < count; ++i) asked += parts[i].iov_len;
    if (static_cast<size_t>(got) < asked && !hung_up_) {
      readable_ = false;  // a short read has emptied it: the next edge tells
      return;
    }
    budget -= std::min(budget, static_cast<size_t>(got));
  }
}

// Bytes have been read: the first of them into the payload's place if one was
// being received, the others into the read-ahead. False if the endpoint was
// closed or broke.
bool TcpEndpoint::TakeBytes(size_t bytes, TimePoint now) {
  if (in_payload_) {
    const size_t part = std::min<size_t>(bytes, header_.size - payload_have_);
    bytes -= part;
    if (!TakePayload(part, now)) return false;
  }
  for (size_t at = 0; at < bytes;) {
    if (!in_payload_) {
      const size_t part = std::min(bytes - at, kHeaderSize - header_have_);
      std::memcpy(&header_bytes_[header_have_], &ahead_[at], part);
      header_have_ += part;
      at += part;
      if (header_have_ == kHeaderSize && !TakeHeader(now)) return false;
    } else {
      const size_t part =
          std::min<size_t>(bytes - at, header_.size - payload_have_);
      if (!diverted_ && place_.data != nullptr) {
        std::memcpy(static_cast<uint8_t*>(place_.data) + payload_have_,
                    &ahead_[at], part);
      }
      at += part;
      if (!TakePayload(part, now)) return false;
    }
  }
  return true;
}

bool TcpEndpoint::TakeHeader(TimePoint now) {
  header_have_ = 0;
  Result<ChunkHeader> header = DecodeHeader(header_bytes_);
  if (!header.ok()) {
    Fail(StatusCode::kCorrupt, header.status().text().c_str());
    return false;
  }
  header_ = *header;
  place_ = {};
  payload_have_ = 0;
  diverted_ = false;
  if (header_.size == 0) {
    sink_->Arrived(*this, header_, place_, now);
    return socket_.valid();
  }
  in_payload_ = true;
  if (header_.kind != FrameKind::kPadding) {
    place_ = sink_->Place(*this, header_, now);
  }
  return socket_.valid();
}

bool TcpEndpoint::TakePayload(size_t bytes, TimePoint now) {
  payload_have_ += bytes;
  if (payload_have_ < header_.size) return true;
  in_payload_ = false;
  if (!diverted_) sink_->Arrived(*this, header_, place_, now);
  return socket_.valid();
}

void TcpEndpoint::Fail(StatusCode code, const char* what) {
  Close();
  sink_->Failed(*this, Status(code, Text("%s: %s", name_.c_str(), what),
                              FaultScope::kPath));
}

EndpointStats TcpEndpoint::Stats() const {
  EndpointStats stats;
  stats.bytes_sent = bytes_sent_;
  stats.bytes_received = bytes_received_;
  if (!socket_.valid()) return stats;
  tcp_info info{};
  if (!GetInfo(&info)) return stats;
  stats.retransmits = info.tcpi_total_retrans;
  stats.rtt = Duration{info.tcpi_rtt} * kMicrosecond;
  stats.min_rtt =
      info.tcpi_min_rtt == ~0u ? 0 : Duration{info.tcpi_min_rtt} * kMicrosecond;
  stats.delivery_rate = static_cast<double>(info.tcpi_delivery_rate);
  stats.bytes_in_flight = uint64_t{info.tcpi_unacked} * info.tcpi_snd_mss;
  stats.bytes_delivered = uint64_t{info.tcpi_delivered} * info.tcpi_snd_mss;
  stats.bytes_unsent = info.tcpi_notsent_bytes;
  for (size_t i = 0; i < queued_; ++i) {
    stats.bytes_unsent += At(i).size() - At(i).written;
  }
  return stats;
}

}  // namespace longhaul
