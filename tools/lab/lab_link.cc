// lab_link: a long-haul link between two TUN (or TAP) interfaces, each in its
// own network namespace.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <system_error>
#include <utility>

#include "channel.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

namespace longhaul::lab {
namespace {

constexpr char kUsage[] =
    R"(usage: lab_link [options] A B [setting...]      a link between A and B
       lab_link ctl SOCKET [word...]            talk to a running one

A and B are [NETNS:]INTERFACE; NETNS is a name under /run/netns, a path, or a process id.

options  --ctl SOCKET  control socket (Unix, seqpacket)   --stats SECONDS  print JSON lines
         --tap         TAP instead of TUN                 --mtu BYTES      (1500)
         --memory SIZE frames held per direction (1gb)    --seed N         dice
         --fair        no real-time scheduling            --spin TIME      wake this early, then poll (30us)

settings apply to both directions; "ab." or "ba." in front picks one.
  rate=1gbit|none  delay=25ms  jitter=1ms  queue=bdp|2bdp|50ms|1mb  overhead=38  quantum=100us
  loss=0.1%  burst=8 (mean burst length)  ge=p/r/loss-bad/loss-good  reorder=1%  late=1ms  dup=0.1%
  ecn=off|0.1bdp|1ms|100kb (mark above)  up  down

control words: settings, "stats", "reset" (counters), "quit"
)";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept { return std::swap(fd_, o.fd_), *this; }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  operator int() const { return fd_; }

 private:
  int fd_;
};

i64 clock_ns() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

struct Options {
  bool tap = false, fair = false;
  int mtu = 1500;
  double memory = 1e9, stats = 0, spin = 30e3;
  u64 seed = std::random_device{}();
  std::string ctl;
  std::vector<std::string> words;  // A, B, settings
};

// Opens the interface inside its namespace, offloads on, and brings it up.
Fd open_tun(std::string spec, const Options& o) {
  const Fd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (const auto colon = spec.rfind(':'); colon != spec.npos) {
    std::string ns = spec.substr(0, colon);
    spec.erase(0, colon + 1);
    if (ns.find_first_not_of("0123456789") == ns.npos)
      ns = "/proc/" + ns + "/ns/net";
    else if (!ns.starts_with('/'))
      ns = "/run/netns/" + ns;
    const Fd there(::open(ns.c_str(), O_RDONLY | O_CLOEXEC));
    if (there < 0 || ::setns(there, CLONE_NEWNET) < 0) fail(ns);
  }
  Fd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (tun < 0) fail("/dev/net/tun");
  ifreq r{};
  spec.copy(r.ifr_name, IFNAMSIZ - 1);
  r.ifr_flags = static_cast<short>((o.tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI |
                                   IFF_VNET_HDR);
  if (::ioctl(tun, TUNSETIFF, &r) < 0) fail("TUNSETIFF " + spec);
  constexpr unsigned base =
      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(tun, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) < 0 &&
      ::ioctl(tun, TUNSETOFFLOAD, base) < 0)
    fail("TUNSETOFFLOAD");
  const Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  r.ifr_mtu = o.mtu;
  if (::ioctl(s, SIOCSIFMTU, &r) < 0) fail("mtu");
  r.ifr_qlen = 10000;  // the kernel's own queue must never be the one that
                       // drops; this way takes real root,
  (void)!::ioctl(s, SIOCSIFTXQLEN, &r);  // `ip link set txqueuelen` does not
  if (::ioctl(s, SIOCGIFFLAGS, &r) < 0) fail("flags");
  r.ifr_flags |= IFF_UP;
  if (::ioctl(s, SIOCSIFFLAGS, &r) < 0) fail("up");
  if (::setns(home, CLONE_NEWNET) < 0) fail("setns");
  return tun;
}

void report(std::ostream& out, const char* name, const Channel& c, i64 now) {
  const Stats& s = c.stats();
  const Config& k = c.config();
  out << '"' << name << "\":{\"up\":" << (k.up ? "true" : "false")
      << ",\"rate\":" << k.rate << ",\"delay_ms\":" << k.delay / 1e6
      << ",\"queue\":" << static_cast<u64>(k.queue_bytes()) << ",\"ge\":["
      << k.ge_p << ',' << k.ge_r << ',' << k.ge_bad << ',' << k.ge_good
      << "],\"backlog\":" << static_cast<u64>(c.backlog(now))
      << ",\"max_backlog\":" << s.max_backlog
      << ",\"in_flight\":" << c.in_flight();
  const std::pair<const char*, u64> counters[] = {
      {"in_frames", s.in_frames},
      {"in_segs", s.in_segs},
      {"in_bytes", s.in_bytes},
      {"out_frames", s.out_frames},
      {"out_segs", s.out_segs},
      {"out_bytes", s.out_bytes},
      {"lost", s.lost},
      {"tail_dropped", s.tail_dropped},
      {"marked", s.marked},
      {"reordered", s.reordered},
      {"duplicated", s.duplicated},
      {"down_dropped", s.down_dropped},
      {"no_memory", s.no_memory},
      {"write_errors", s.write_errors}};
  for (auto [key, value] : counters) out << ",\"" << key << "\":" << value;
  u64 writes = 0;
  for (u64 n : s.late) writes += n;
  out << ",\"late_us\":{\"mean\":"
      << (writes ? static_cast<double>(s.late_sum) /
                       static_cast<double>(writes) / 1e3
                 : 0.0)
      << ",\"p50\":" << s.late_us(0.5) << ",\"p99\":" << s.late_us(0.99)
      << ",\"max\":" << static_cast<double>(s.late_max) / 1e3 << "}}";
}

class Link {
 public:
  Link(const Options& o, Fd a, Fd b)
      : ab_(o.tap, static_cast<u64>(o.memory), o.seed),
        ba_(o.tap, static_cast<u64>(o.memory), o.seed + 1),
        a_(std::move(a)),
        b_(std::move(b)),
        opt_(o) {
    watch(a_), watch(b_);
    if (o.ctl.empty()) return;
    listen_ =
        Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un u{};
    u.sun_family = AF_UNIX;
    o.ctl.copy(u.sun_path, sizeof u.sun_path - 1);
    ::unlink(u.sun_path);
    if (::bind(listen_, reinterpret_cast<sockaddr*>(&u), sizeof u) < 0 ||
        ::listen(listen_, 8) < 0)
      fail(o.ctl);
    watch(listen_);
  }
  ~Link() {
    if (!opt_.ctl.empty()) ::unlink(opt_.ctl.c_str());
  }

  // All or nothing: a wrong word changes neither direction.
  void configure(std::span<const std::string> words) {
    Config ab = ab_.config(), ba = ba_.config();
    for (const std::string& w : words) {
      for (size_t from = 0, to; from <= w.size(); from = to + 1) {
        to = std::min(w.find(',', from), w.size());
        std::string_view token = std::string_view(w).substr(from, to - from);
        if (token.empty()) continue;
        const bool only_ab = token.starts_with("ab."),
                   only_ba = token.starts_with("ba.");
        if (only_ab || only_ba) token.remove_prefix(3);
        if (!only_ba) ab.set(token);
        if (!only_ab) ba.set(token);
      }
    }
    const i64 now = clock_ns();
    ab_.configure(ab, now), ba_.configure(ba, now);
  }

  std::string stats() const {
    const i64 now = clock_ns();
    rusage u;
    ::getrusage(RUSAGE_SELF, &u);
    const auto s = [](timeval t) {
      return static_cast<double>(t.tv_sec) +
             static_cast<double>(t.tv_usec) / 1e6;
    };
    std::ostringstream out;
    out.precision(10);
    out << "{\"time\":" << static_cast<double>(now) / 1e9
        << ",\"cpu_user\":" << s(u.ru_utime) << ",\"cpu_sys\":" << s(u.ru_stime)
        << ',';
    report(out, "ab", ab_, now), out << ',', report(out, "ba", ba_, now),
        out << '}';
    return out.str();
  }

  void run(const volatile std::sig_atomic_t& stop) {
    constexpr i64 kBatch = 256 << 10;  // bytes per turn: neither direction, nor
                                       // reading or writing, waits long
    const i64 every = static_cast<i64>(opt_.stats * 1e9),
              spin = static_cast<i64>(opt_.spin);
    i64 report_at = every ? clock_ns() + every : kNever;
    while (!stop && !quit_) {
      const i64 next = std::min({ab_.deliver(b_, kBatch, clock_ns),
                                 ba_.deliver(a_, kBatch, clock_ns), report_at});
      const i64 now = clock_ns();
      if (now >= report_at) {
        std::puts(stats().c_str()), std::fflush(stdout);
        report_at += every;
      }
      const i64 wait =
          next == kNever ? kNever : std::max<i64>(0, next - now - spin);
      const timespec t{wait / 1'000'000'000, wait % 1'000'000'000};
      epoll_event e[8];
      const int n =
          ::epoll_pwait2(epoll_, e, 8, wait == kNever ? nullptr : &t, nullptr);
      for (int i = 0; i < n; ++i) {
        const int fd = e[i].data.fd;
        if (fd == a_)
          ab_.ingest(a_, kBatch, clock_ns);
        else if (fd == b_)
          ba_.ingest(b_, kBatch, clock_ns);
        else if (fd == listen_)
          accept();
        else
          converse(fd);
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event e{};
    e.events = EPOLLIN, e.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e) < 0) fail("epoll");
  }

  void accept() {
    const int fd =
        ::accept4(listen_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) watch(fd);
  }

  // One message, one answer: the statistics, or {"error":...}.
  void converse(int fd) {
    char text[4096];
    const ssize_t n = ::read(fd, text, sizeof text);
    if (n <= 0) {
      ::close(fd);
      return;
    }
    std::string answer;
    try {
      std::vector<std::string> settings;
      std::istringstream in(std::string(text, static_cast<size_t>(n)));
      bool reset = false;
      for (std::string w; in >> w;) {
        if (w == "quit")
          quit_ = true;
        else if (w == "reset")
          reset = true;
        else if (w != "stats")
          settings.push_back(w);
      }
      if (!settings.empty()) configure(settings);
      answer = stats();
      if (reset) ab_.reset_stats(), ba_.reset_stats();
    } catch (const std::exception& e) {
      answer = std::string("{\"error\":\"") + e.what() + "\"}";
    }
    (void)!::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  Channel ab_, ba_;
  Fd a_, b_, listen_, epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  Options opt_;
  bool quit_ = false;
};

// Wake on time: no timer slack, and ahead of the load under test where that is
// permitted. (A nice level would not do: under autogroup scheduling it ranks a
// process only within its own session.)
void prioritize(bool fair) {
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const sched_param p{1};
  if (!fair) (void)!::sched_setscheduler(0, SCHED_FIFO, &p);
}

int ctl(std::span<char*> args) {
  if (args.empty()) throw std::invalid_argument(kUsage);
  const Fd s(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un u{};
  u.sun_family = AF_UNIX;
  std::string(args[0]).copy(u.sun_path, sizeof u.sun_path - 1);
  if (::connect(s, reinterpret_cast<sockaddr*>(&u), sizeof u) < 0)
    fail(args[0]);
  std::string words = "stats";
  for (const char* w : args.subspan(1)) (words += ' ') += w;
  char answer[8192];
  if (::send(s, words.data(), words.size(), 0) < 0) fail("send");
  const ssize_t n = ::recv(s, answer, sizeof answer, 0);
  if (n < 0) fail("recv");
  std::printf("%.*s\n", static_cast<int>(n), answer);
  return std::string_view(answer, static_cast<size_t>(n))
                 .starts_with("{\"error")
             ? 1
             : 0;
}

volatile std::sig_atomic_t g_stop = 0;

int main(std::span<char*> args) {
  if (!args.empty() && std::string_view(args[0]) == "ctl")
    return ctl(args.subspan(1));
  Options o;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view a = args[i];
    const auto value = [&] {
      if (++i >= args.size()) throw std::invalid_argument(kUsage);
      return std::string(args[i]);
    };
    if (a == "--tap")
      o.tap = true;
    else if (a == "--fair")
      o.fair = true;
    else if (a == "--ctl")
      o.ctl = value();
    else if (a == "--mtu")
      o.mtu = static_cast<int>(quantity(value()).value);
    else if (a == "--stats")
      o.stats = quantity(value()).value;
    else if (a == "--seed")
      o.seed = static_cast<u64>(quantity(value()).value);
    else if (a == "--memory")
      o.memory = scaled(value(), kSize);
    else if (a == "--spin")
      o.spin = scaled(value(), kTime);
    else if (a.starts_with('-'))
      throw std::invalid_argument(kUsage);
    else
      o.words.emplace_back(a);
  }
  if (o.words.size() < 2) throw std::invalid_argument(kUsage);

  const auto on_signal = [](int) { g_stop = 1; };
  std::signal(SIGINT, on_signal), std::signal(SIGTERM, on_signal);
  Fd a = open_tun(o.words[0], o), b = open_tun(o.words[1], o);
  Link link(o, std::move(a), std::move(b));
  link.configure(std::span(o.words).subspan(2));
  prioritize(o.fair);
  link.run(g_stop);
  std::puts(link.stats().c_str());
  return 0;
}

}  // namespace
}  // namespace longhaul::lab

int main(int argc, char** argv) {
  try {
    return longhaul::lab::main(
        std::span(argv + 1, static_cast<size_t>(argc - 1)));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lab_link: %s\n", e.what());
    return 1;
  }
}
