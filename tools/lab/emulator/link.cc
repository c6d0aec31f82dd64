#include "lab/emulator/link.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

#include "lab/emulator/json.h"

namespace longhaul::lab {
namespace {

// Bytes per turn: neither direction, neither reading nor writing, waits long.
constexpr int64_t kBatch = 256 << 10;
constexpr int64_t kSecond = 1'000'000'000;

int64_t Now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

// Reads until the device is empty or the batch is full.
void Ingest(int device, Channel& channel) {
  static std::array<uint8_t, kMaxFrame> bin;
  for (int64_t taken = 0; taken < kBatch;) {
    uint8_t* const room = channel.Room();
    uint8_t* const record = room != nullptr ? room : bin.data();
    const ssize_t n = ::read(device, record, kMaxFrame);
    if (n <= static_cast<ssize_t>(kVnetSize)) return;
    taken += n;
    const auto size = static_cast<uint32_t>(n);
    if (room != nullptr) {
      channel.Accept(size, Now());
    } else {
      channel.Refuse(record, size);
    }
  }
}

// Writes what is due, at most a batch; says when the next is due.
int64_t Deliver(Channel& channel, int device) {
  Channel::Piece piece;
  for (int64_t given = 0; given < kBatch && channel.TakeDue(Now(), piece);) {
    const ssize_t n =
        ::writev(device, piece.slice.parts.data(), piece.slice.count);
    channel.Written(piece, n >= 0);
    given += piece.bytes;
  }
  return channel.NextDue();
}

JsonObject Describe(const Channel& channel, int64_t now) {
  const Counters& c = channel.counters();
  const Settings& s = channel.settings();
  JsonObject json;
  json.Add("up", s.up);
  json.Add("rate", s.rate);
  json.Add("delay_ms", s.delay / 1e6);
  json.Add("queue", static_cast<uint64_t>(s.QueueBytes()));
  const std::array ge{s.go_bad, s.go_good, s.loss_bad, s.loss_good};
  json.Add("ge", std::span<const double>(ge));
  json.Add("backlog", static_cast<uint64_t>(channel.Backlog(now)));
  json.Add("max_backlog", c.max_backlog);
  json.Add("in_flight", channel.in_flight());
  json.Add("in_frames", c.in_frames);
  json.Add("in_segs", c.in_segments);
  json.Add("in_bytes", c.in_bytes);
  json.Add("out_frames", c.out_frames);
  json.Add("out_segs", c.out_segments);
  json.Add("out_bytes", c.out_bytes);
  json.Add("lost", c.lost);
  json.Add("tail_dropped", c.tail_dropped);
  json.Add("marked", c.marked);
  json.Add("reordered", c.reordered);
  json.Add("duplicated", c.duplicated);
  json.Add("down_dropped", c.down_dropped);
  json.Add("no_memory", c.no_memory);
  json.Add("write_errors", c.write_errors);
  JsonObject late;
  late.Add("mean", c.lateness.MeanMicroseconds());
  late.Add("p50", c.lateness.QuantileMicroseconds(0.5));
  late.Add("p99", c.lateness.QuantileMicroseconds(0.99));
  late.Add("max", c.lateness.MaxMicroseconds());
  json.Add("late_us", std::move(late));
  return json;
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

}  // namespace

Link::Link(const LinkOptions& options, File a, File b)
    : options_(options),
      ab_(options.ethernet, options.memory, options.seed),
      ba_(options.ethernet, options.memory, options.seed + 1),
      a_(std::move(a)),
      b_(std::move(b)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  Watch(a_.fd());
  Watch(b_.fd());
  if (options_.control.empty()) return;
  control_ = std::make_unique<ControlServer>(options_.control);
  Watch(control_->fd());
}

void Link::Watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &event) < 0) {
    ThrowErrno("epoll");
  }
}

void Link::Configure(std::span<const std::string> words) {
  Settings ab = ab_.settings();
  Settings ba = ba_.settings();
  ApplyWords(words, ab, ba);
  const int64_t now = Now();
  ab_.Configure(ab, now);
  ba_.Configure(ba, now);
}

std::string Link::Report() const {
  const int64_t now = Now();
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  JsonObject json;
  json.Add("time", static_cast<double>(now) / 1e9);
  json.Add("cpu_user", Seconds(usage.ru_utime));
  json.Add("cpu_sys", Seconds(usage.ru_stime));
  json.Add("ab", Describe(ab_, now));
  json.Add("ba", Describe(ba_, now));
  return std::move(json).Text();
}

void Link::Run(const volatile std::sig_atomic_t& stop) {
  while (stop == 0 && !quit_) {
    const int64_t ab_due = Deliver(ab_, b_.fd());
    const int64_t ba_due = Deliver(ba_, a_.fd());
    Wait(std::min(ab_due, ba_due));
  }
}

void Link::Wait(int64_t wake_at) {
  timespec timeout{};
  if (wake_at != kNever) {
    const int64_t wait =
        std::max<int64_t>(0, wake_at - Now() - options_.wake_early);
    timeout = {wait / kSecond, wait % kSecond};
  }
  std::array<epoll_event, 8> events;
  const int n = ::epoll_pwait2(epoll_.fd(), events.data(), events.size(),
                               wake_at == kNever ? nullptr : &timeout, nullptr);
  for (int i = 0; i < n; ++i) Serve(events[static_cast<size_t>(i)].data.fd);
}

void Link::Serve(int fd) {
  if (fd == a_.fd()) {
    Ingest(fd, ab_);
  } else if (fd == b_.fd()) {
    Ingest(fd, ba_);
  } else if (fd == control_->fd()) {
    File caller = control_->Accept();
    if (!caller.ok()) return;
    Watch(caller.fd());
    callers_.emplace(caller.fd(), std::move(caller));
  } else if (!ControlServer::Converse(
                 fd, [this](std::span<const std::string> words) {
                   return Answer(words);
                 })) {
    callers_.erase(fd);
  }
}

std::string Link::Answer(std::span<const std::string> words) {
  std::vector<std::string> settings;
  bool reset = false;
  for (const std::string& word : words) {
    if (word == "quit") {
      quit_ = true;
    } else if (word == "reset") {
      reset = true;
    } else if (word != "stats") {
      settings.push_back(word);
    }
  }
  Configure(settings);
  std::string answer = Report();
  if (reset) {
    ab_.ResetCounters();
    ba_.ResetCounters();
  }
  return answer;
}

}  // namespace longhaul::lab
