#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/random.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "collective/rendezvous.h"
#include "collective/rendezvous_frame.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul {
namespace {

constexpr size_t kMaxTable = size_t{1} << 30;
constexpr size_t kMinSecret = 16;
constexpr size_t kMaxSecret = 4096;
constexpr Duration kConnectPatience = 3 * kSecond;  // per address
constexpr Duration kFirstPause = 50 * kMillisecond;
constexpr Duration kLongestPause = kSecond;

SipKey Derive(const SipKey& key, std::string_view purpose, uint64_t number) {
  std::array<uint8_t, 64> message{};
  StoreLittle<uint64_t>(message.data(), number);
  std::copy(purpose.begin(), purpose.end(), message.begin() + 8);
  return SipHash128(key, message);
}

Status Wrong(std::string text) {
  return {StatusCode::kInvalidArgument, std::move(text),
          FaultScope::kCommunicator};
}

std::string NameOf(const HostPort& server) {
  const bool ipv6 = server.host.find(':') != std::string::npos;
  return Text(ipv6 ? "[%s]:%u" : "%s:%u", server.host.c_str(),
              unsigned{server.port});
}

/// One gathering: connections are tried until one brings the table.
class Gathering {
 public:
  Gathering(const RendezvousJoin& join, Logger& log)
      : join_(join),
        log_(log),
        server_(NameOf(join.server)),
        deadline_(Now() + join.timeout) {}

  Result<RendezvousTable> Run();

 private:
  // What an attempt has come to: a table, or an end, or neither (try again).
  struct Outcome {
    std::optional<RendezvousTable> table;
    Status end;
  };

  Status CheckJoin() const;
  Outcome Attempt();
  UniqueFd Connect();
  UniqueFd ConnectTo(const Address& address);
  bool SendJoin(int fd);
  Outcome Listen(int fd);
  Outcome Handle(const RendezvousReader& reader);
  Outcome HandleTable(const RendezvousReader& reader) const;
  void HandleWaiting(const RendezvousReader& reader);
  bool Await(int fd, int16_t events, TimePoint until) const;
  Status TimedOut() const;

  const RendezvousJoin& join_;
  Logger& log_;
  const std::string server_;
  const TimePoint deadline_;
  SipTag proof_{};                     // of the join sent last
  std::string trouble_ = "no answer";  // why there is no connection
  std::string waiting_;  // whom the server waits for, as it said last
};

Status Gathering::CheckJoin() const {
  if (join_.key.empty() || join_.key.size() > kMaxRendezvousKey) {
    return Wrong("a rendezvous key has 1 to 128 bytes");
  }
  if (join_.size == 0 || join_.size > kMaxRendezvousSize ||
      join_.rank >= join_.size) {
    return Wrong(Text("rank %u of %u: ranks are 0 to size - 1, and at most %u",
                      join_.rank, join_.size, kMaxRendezvousSize));
  }
  if (join_.blob.size() > kMaxRendezvousBlob) {
    return Wrong(Text("a rendezvous blob has at most %zu bytes, not %zu",
                      kMaxRendezvousBlob, join_.blob.size()));
  }
  return {};
}

Result<RendezvousTable> Gathering::Run() {
  const Status valid = CheckJoin();
  if (!valid.ok()) return valid;
  Duration pause = kFirstPause;
  for (;;) {
    Outcome outcome = Attempt();
    if (outcome.table) return *std::move(outcome.table);
    if (!outcome.end.ok()) return outcome.end;
    // Not once more at the very end: it could only say "no answer".
    if (Now() + pause >= deadline_) {
      Await(-1, 0, deadline_);
      return TimedOut();
    }
    Await(-1, 0, Now() + pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

Gathering::Outcome Gathering::Attempt() {
  const UniqueFd fd = Connect();
  if (!fd.valid() || !SendJoin(fd.get())) return {};
  trouble_ = "connected, but no answer";
  Outcome outcome = Listen(fd.get());
  if (!outcome.table && outcome.end.ok() && Now() < deadline_) {
    log_.Write(LogLevel::kInfo, "rendezvous %s: %s; trying again",
               server_.c_str(), trouble_.c_str());
  }
  return outcome;
}

UniqueFd Gathering::Connect() {
  const Result<std::vector<Address>> addresses =
      Resolve(join_.server.host, join_.server.port, join_.family);
  if (!addresses.ok()) {
    trouble_ = addresses.status().text();
    return {};
  }
  std::string troubles;
  for (const Address& address : *addresses) {
    UniqueFd fd = ConnectTo(address);
    if (fd.valid()) return fd;
    if (!troubles.empty()) troubles += "; ";
    troubles += address.ToString() + ": " + trouble_;
  }
  trouble_ = troubles;
  log_.Once(LogLevel::kInfo, "rendezvous/" + server_,
            "rendezvous %s is not there yet (%s); trying until it is",
            server_.c_str(), trouble_.c_str());
  return {};
}

UniqueFd Gathering::ConnectTo(const Address& address) {
  Result<UniqueFd> fd = OpenTcpSocket(address.family, {});
  Status status = fd.status();
  if (status.ok()) status = BeginConnect(fd->get(), address).status();
  if (status.ok()) {
    const TimePoint until = std::min(deadline_, Now() + kConnectPatience);
    status = Await(fd->get(), POLLOUT, until)
                 ? ConnectOutcome(fd->get())
                 : Status(StatusCode::kTimedOut, "no answer");
  }
  if (status.ok()) return std::move(fd).value();
  trouble_ = status.text();
  return {};
}

bool Gathering::SendJoin(int fd) {
  JoinMessage message;
  message.nonce = RandomU64();
  message.incarnation = join_.incarnation;
  message.rank = join_.rank;
  message.size = join_.size;
  message.proved = join_.secret.has_value();
  message.key = join_.key;
  message.blob.assign(join_.blob.begin(), join_.blob.end());
  std::vector<uint8_t> bytes = EncodeMessage(message);
  proof_ = ProofOfMessage(join_.secret, bytes, {});
  bytes.insert(bytes.end(), proof_.begin(), proof_.end());
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now_sent =
        ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now_sent > 0) {
      sent += static_cast<size_t>(now_sent);
    } else if (errno == EAGAIN) {
      if (!Await(fd, POLLOUT, deadline_)) return false;
    } else if (errno != EINTR) {
      trouble_ = std::strerror(errno);
      return false;
    }
  }
  return true;
}

// Until the server has said its last word or the deadline.
Gathering::Outcome Gathering::Listen(int fd) {
  RendezvousReader reader(kMaxTable);
  while (Await(fd, POLLIN, deadline_)) {
    const std::span<uint8_t> space = reader.Space();
    const ssize_t got = ::recv(fd, space.data(), space.size(), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) {
      trouble_ = got == 0 ? "it closed the connection" : std::strerror(errno);
      return {};
    }
    if (!reader.Took(static_cast<size_t>(got)).ok()) {
      trouble_ = "what listens there is no longhaul rendezvous";
      return {};
    }
    if (!reader.Complete()) continue;
    Outcome outcome = Handle(reader);
    if (outcome.table || !outcome.end.ok()) return outcome;
    if (Now() >= deadline_) return {};
    reader.Next();
  }
  return {};
}

Gathering::Outcome Gathering::Handle(const RendezvousReader& reader) {
  const bool proved = SameTag(
      reader.proof(), ProofOfMessage(join_.secret, reader.message(), proof_));
  if (reader.version() != kRendezvousVersion &&
      reader.kind() != RendezvousKind::kError) {
    return {{},
            {StatusCode::kUnsupported,
             Text("the rendezvous at %s speaks version %u, this process %u: "
                  "install the same longhaul everywhere",
                  server_.c_str(), unsigned{reader.version()},
                  unsigned{kRendezvousVersion}),
             FaultScope::kCommunicator}};
  }
  switch (reader.kind()) {
    case RendezvousKind::kTable:
      if (proved) return HandleTable(reader);
      return {{},
              Wrong("the rendezvous at " + server_ +
                    " does not know the secret of LONGHAUL_SECRET_FILE")};
    case RendezvousKind::kWaiting:
      if (proved) HandleWaiting(reader);
      return {};
    case RendezvousKind::kError: {
      // Taken without proof as well: one whose secret differs has none.
      const Result<ErrorMessage> error = DecodeError(reader.payload());
      if (!error.ok()) return {{}, error.status()};
      return {{},
              {error->code,
               Text("rendezvous %s, key %s: %s", server_.c_str(),
                    join_.key.c_str(), error->text.c_str()),
               FaultScope::kCommunicator}};
    }
    case RendezvousKind::kJoin:
      break;
  }
  return {};
}

Gathering::Outcome Gathering::HandleTable(
    const RendezvousReader& reader) const {
  Result<TableMessage> message = DecodeTable(reader.payload());
  if (!message.ok()) return {{}, message.status()};
  if (message->blobs.size() != join_.size) {
    return {{},
            Wrong(Text("the rendezvous at %s has sent %zu blobs for %u ranks",
                       server_.c_str(), message->blobs.size(), join_.size))};
  }
  RendezvousTable table;
  table.job = message->job;
  table.secret = join_.secret ? Derive(*join_.secret, "longhaul job", table.job)
                              : message->secret;
  table.number = message->number;
  table.blobs = std::move(message->blobs);
  return {std::move(table), {}};
}

void Gathering::HandleWaiting(const RendezvousReader& reader) {
  const Result<WaitingMessage> message = DecodeWaiting(reader.payload());
  if (!message.ok()) return;
  waiting_ = "waiting for " +
             RanksText(message->missing, message->missing_count, message->size);
  if (!message->note.empty()) waiting_ += " (" + message->note + ")";
  log_.Write(LogLevel::kInfo, "rendezvous %s, key %s: %s", server_.c_str(),
             join_.key.c_str(), waiting_.c_str());
}

// False if nothing has happened when `until` comes; looks once in any case. A
// descriptor of -1 waits for nothing else.
bool Gathering::Await(int fd, int16_t events, TimePoint until) const {
  for (;;) {
    const Duration left = std::max<Duration>(until - Now(), 0);
    const timespec wait{left / kSecond, left % kSecond};
    pollfd item{fd, events, 0};
    if (::ppoll(&item, 1, &wait, nullptr) > 0) return true;
    if (left == 0) return false;
  }
}

Status Gathering::TimedOut() const {
  if (!waiting_.empty()) {
    return {StatusCode::kTimedOut,
            Text("rank %u gave up the rendezvous at %s, key %s, after %s: %s",
                 join_.rank, server_.c_str(), join_.key.c_str(),
                 TimeText(join_.timeout).c_str(), waiting_.c_str()),
            FaultScope::kCommunicator};
  }
  return {
      StatusCode::kTimedOut,
      Text("rank %u did not reach the rendezvous at %s within %s: %s; is "
           "rank 0 running, and is LONGHAUL_RENDEZVOUS the same everywhere?",
           join_.rank, server_.c_str(), TimeText(join_.timeout).c_str(),
           trouble_.c_str()),
      FaultScope::kCommunicator};
}

}  // namespace

Result<RendezvousTable> RendezvousAllGather(const RendezvousJoin& join,
                                            Logger& log) {
  return Gathering(join, log).Run();
}

Result<SipKey> ReadSecretFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, kMaxSecret> bytes;
  const ssize_t size =
      file.valid() ? ::read(file.get(), bytes.data(), bytes.size()) : -1;
  if (size < 0) {
    return Wrong(Text("LONGHAUL_SECRET_FILE %s: %s", path.c_str(),
                      std::strerror(errno)));
  }
  const std::string_view secret =
      Trim(std::string_view(bytes.data(), static_cast<size_t>(size)));
  if (secret.size() < kMinSecret) {
    return Wrong(
        Text("LONGHAUL_SECRET_FILE %s: %zu bytes are too few for a "
             "secret; %zu or more, at random",
             path.c_str(), secret.size(), kMinSecret));
  }
  // Whoever knows the file knows all; the fixed key only names the purpose.
  const SipKey purpose = {'l', 'o', 'n', 'g', 'h', 'a', 'u', 'l',
                          ' ', 's', 'e', 'c', 'r', 'e', 't', '1'};
  return SipHash128(purpose, {reinterpret_cast<const uint8_t*>(secret.data()),
                              secret.size()});
}

}  // namespace longhaul
