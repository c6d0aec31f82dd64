#include "floor/exchange.h"

#include <fcntl.h>
#include <longhaul/options.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/parse.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "floor/star.h"

namespace longhaul::bench {
namespace {

constexpr size_t kCardRoom = 128;  // bytes of a rank's card, the final 0 too
constexpr int kPollMilliseconds = 60'000;
// Little enough that the kernel's send queue is not a second, hidden, line.
constexpr int kNotSent = 128 << 10;

struct Card {
  std::string site;
  std::string address;  // host:port of the listener
};

Status Lost(const std::string& what) {
  return {StatusCode::kUnreachable, what + ": " + std::strerror(errno)};
}

Result<std::vector<Card>> Swap(Star& star, const Card& own) {
  std::vector<uint8_t> texts(static_cast<size_t>(star.size()) * kCardRoom, 0);
  const std::string text = own.site + "\t" + own.address;
  if (text.size() >= kCardRoom) {
    return Status(StatusCode::kInvalidArgument, "site or address too long");
  }
  std::memcpy(&texts[static_cast<size_t>(star.rank()) * kCardRoom], text.data(),
              text.size());
  const Status status = star.Combine(texts.data(), texts.size(),
                                     DataType::kUint8, ReduceOp::kSum);
  if (!status.ok()) return status;
  std::vector<Card> cards;
  for (int r = 0; r < star.size(); ++r) {
    const std::string line(reinterpret_cast<const char*>(
        &texts[static_cast<size_t>(r) * kCardRoom]));
    const size_t tab = line.find('\t');
    cards.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return cards;
}

// Who this rank's partner is.
struct Pairing {
  int partner = -1;
  int ranks_per_site = 0;
};

Result<Pairing> Pair(const std::vector<Card>& cards, int rank) {
  std::vector<int> own;
  std::vector<int> others;
  const std::string& site = cards[static_cast<size_t>(rank)].site;
  std::string other;
  for (size_t r = 0; r < cards.size(); ++r) {
    if (cards[r].site == site) {
      own.push_back(static_cast<int>(r));
      continue;
    }
    if (!other.empty() && other != cards[r].site) {
      return Status(StatusCode::kUnsupported, "more than two sites");
    }
    other = cards[r].site;
    others.push_back(static_cast<int>(r));
  }
  if (own.size() != others.size()) {
    return Status(StatusCode::kUnsupported,
                  "two sites with equally many ranks are needed: set "
                  "LONGHAUL_SITE, or give --sites 2");
  }
  const auto index = std::find(own.begin(), own.end(), rank) - own.begin();
  return Pairing{others[static_cast<size_t>(index)],
                 static_cast<int>(own.size())};
}

class Exchange : public Subject {
 public:
  Exchange(Star star, UniqueFd line, Pairing pairing, std::string site,
           std::string control)
      : star_(std::move(star)),
        line_(std::move(line)),
        pairing_(pairing),
        site_(std::move(site)),
        control_(std::move(control)) {}

  int rank() const override { return star_.rank(); }
  int size() const override { return star_.size(); }
  int site_count() const override { return 2; }
  std::string Describe() const override {
    return Text("site %s, partner %d, %s", site_.c_str(), pairing_.partner,
                control_.c_str());
  }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp /*op*/) override {
    // This rank's part of the vector: bytes lo .. hi.
    const size_t bytes = count * SizeOf(type);
    const auto m = static_cast<size_t>(pairing_.ranks_per_site);
    const size_t index = static_cast<size_t>(star_.rank()) % m;
    const size_t lo = bytes * index / m;
    const size_t hi = bytes * (index + 1) / m;
    out_ = static_cast<const char*>(input) + lo;
    in_ = static_cast<char*>(output) + lo;
    to_send_ = to_receive_ = hi - lo;
    return {};
  }
  Status StartBarrier() override {
    return Start(&mark_, &mark_, 1, DataType::kInt64, ReduceOp::kSum);
  }

  Status Finish() override {
    while (to_send_ > 0 || to_receive_ > 0) {
      pollfd watched{line_.get(), 0, 0};
      if (to_send_ > 0) watched.events |= POLLOUT;
      if (to_receive_ > 0) watched.events |= POLLIN;
      const int ready = poll(&watched, 1, kPollMilliseconds);
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) return Lost("the partner is silent");
      if ((watched.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !Take()) {
        return Lost("the partner is gone");
      }
      if ((watched.revents & POLLOUT) != 0 && !Give()) {
        return Lost("the partner is gone");
      }
    }
    return {};
  }

  Status Combine(void* data, size_t count, DataType type,
                 ReduceOp op) override {
    return star_.Combine(data, count, type, op);
  }

 private:
  bool Give() {
    while (to_send_ > 0) {
      const ssize_t sent = send(line_.get(), out_, to_send_, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      out_ += sent;
      to_send_ -= static_cast<size_t>(sent);
    }
    return true;
  }
  bool Take() {
    while (to_receive_ > 0) {
      const ssize_t got = recv(line_.get(), in_, to_receive_, 0);
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      in_ += got;
      to_receive_ -= static_cast<size_t>(got);
    }
    return true;
  }

  Star star_;
  UniqueFd line_;
  Pairing pairing_;
  std::string site_;
  std::string control_;
  const char* out_ = nullptr;
  char* in_ = nullptr;
  size_t to_send_ = 0;
  size_t to_receive_ = 0;
  int64_t mark_ = 0;
};

Status Configure(int fd, const ExchangeOptions& how) {
  const std::string& control = how.congestion_control;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int unsent = kNotSent;
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  if (how.pace > 0) {
    const auto pace = static_cast<uint64_t>(how.pace / 8);
    setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace);
  }
  if (control == "system") return {};
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control.data(),
                 static_cast<socklen_t>(control.size())) == 0) {
    return {};
  }
  return {StatusCode::kUnsupported,
          Text("--cc %s: %s; see net.ipv4.tcp_allowed_congestion_control",
               control.c_str(), std::strerror(errno))};
}

Result<UniqueFd> ListenAt(const Address& address, const ExchangeOptions& how,
                          uint16_t* port) {
  UniqueFd fd(socket(address.SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Before the connection is made, so that its first packets obey it too.
  const Status status = Configure(fd.get(), how);
  if (!status.ok()) return status;
  sockaddr_storage storage{};
  socklen_t size = address.WithPort(0).ToSockaddr(&storage);
  auto* raw = reinterpret_cast<sockaddr*>(&storage);
  if (bind(fd.get(), raw, size) != 0 || listen(fd.get(), 1) != 0) {
    return Lost("cannot listen at " + address.HostString());
  }
  size = sizeof storage;
  getsockname(fd.get(), raw, &size);
  *port = Address::FromSockaddr(raw, size).value_or(Address{}).port;
  return fd;
}

Result<UniqueFd> ConnectTo(const Address& from, const Address& to,
                           const ExchangeOptions& how) {
  UniqueFd fd(socket(to.SocketFamily(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Status status = Configure(fd.get(), how);
  if (!status.ok()) return status;
  sockaddr_storage storage{};
  socklen_t size = from.WithPort(0).ToSockaddr(&storage);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    return Lost("cannot bind " + from.HostString());
  }
  size = to.ToSockaddr(&storage);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    return Lost("cannot reach " + to.ToString());
  }
  return fd;
}

Result<Address> OwnAddress(const ExchangeOptions& how, const Star& star,
                           const Options& options) {
  if (!how.address.empty()) return Address::ParseHost(how.address, 0);
  if (star.rank() != 0) return star.local();
  const Result<HostPort> where = SplitHostPort(options.rendezvous);
  if (!where.ok()) return where.status();
  Result<std::vector<Address>> found =
      Resolve(where->host, 0, AddressFamily::kAuto);
  if (!found.ok()) return found.status();
  return found->front();
}

}  // namespace

Result<std::unique_ptr<Subject>> JoinExchange(const ExchangeOptions& how) {
  const Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  Result<Star> star = Star::Join(*options);
  if (!star.ok()) return star.status();
  const Result<Address> own = OwnAddress(how, *star, *options);
  if (!own.ok()) return own.status();
  uint16_t port = 0;
  Result<UniqueFd> listener = ListenAt(*own, how, &port);
  if (!listener.ok()) return listener.status();
  const Card card{options->site, own->WithPort(port).ToString()};
  const Result<std::vector<Card>> cards = Swap(*star, card);
  if (!cards.ok()) return cards.status();
  const Result<Pairing> pairing = Pair(*cards, star->rank());
  if (!pairing.ok()) return pairing.status();
  // The higher rank of a pair connects.
  UniqueFd line;
  if (star->rank() < pairing->partner) {
    line.Reset(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!line.valid()) return Lost("the partner did not come");
  } else {
    const Result<Address> to =
        Address::Parse((*cards)[static_cast<size_t>(pairing->partner)].address);
    if (!to.ok()) return to.status();
    Result<UniqueFd> made = ConnectTo(*own, *to, how);
    if (!made.ok()) return made.status();
    line = std::move(made).value();
  }
  fcntl(line.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Subject>(std::make_unique<Exchange>(
      std::move(star).value(), std::move(line), *pairing, options->site,
      how.congestion_control));
}

}  // namespace longhaul::bench
