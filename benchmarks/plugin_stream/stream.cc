#include "plugin_stream/stream.h"

#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "harness/gate.h"
#include "plugin/driver/proxy.h"
#include "plugin_stream/meeting.h"
#include "tables/net_table.h"

namespace longhaul::bench {
namespace {

using nccl::NetTable;
using nccl::RecvProxy;
using nccl::SendProxy;
using nccl::abi::ResultCode;

constexpr double kNanoseconds = 1e-9;

// A message says which one it is.
void Mark(size_t index, std::span<std::byte> slot) {
  const uint64_t mark = index;
  std::memcpy(slot.data(), &mark, std::min(slot.size(), sizeof mark));
}

bool IsMarked(size_t index, std::span<const std::byte> slot) {
  const uint64_t mark = index;
  return std::memcmp(slot.data(), &mark, std::min(slot.size(), sizeof mark)) ==
         0;
}

template <typename Proxy>
Status Drive(Proxy* proxy, const char* what) {
  while (!proxy->done()) {
    const ResultCode code = proxy->Step();
    if (code != ResultCode::kSuccess) return StatusOf(code, what);
    std::this_thread::yield();
  }
  return {};
}

// A connection in each direction between this rank and the other.
class Pair {
 public:
  Pair(Meeting* meeting, const StreamSettings& settings)
      : meeting_(meeting),
        library_(nccl::Library::Open(settings.plugin).value()),
        net_(nccl::FindNet(library_, settings.version)) {}
  ~Pair() {
    if (send_) net_->CloseSend(send_);
    if (recv_) net_->CloseRecv(recv_);
    if (listen_) net_->CloseListen(listen_);
    if (context_) net_->Finalize(context_);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  Status Connect() {
    if (!net_) return {StatusCode::kUnsupported, "no such table"};
    Status status = StatusOf(net_->Init(&context_, 1, PrintWarnings), "init");
    if (!status.ok()) return status;
    std::array<std::byte, nccl::abi::kHandleBytes> own{};
    status =
        StatusOf(net_->Listen(context_, 0, own.data(), &listen_), "listen");
    if (!status.ok()) return status;
    auto handles = meeting_->Gather(own);
    if (!handles.ok()) return handles.status();
    void* const theirs =
        (*handles)[static_cast<size_t>(1 - meeting_->rank())].data();
    while (status.ok() && (!send_ || !recv_)) {
      if (!send_) {
        status =
            StatusOf(net_->Connect(context_, 0, theirs, &send_), "connect");
      }
      if (status.ok() && !recv_) {
        status = StatusOf(net_->Accept(listen_, &recv_), "accept");
      }
      std::this_thread::yield();
    }
    return status;
  }

  NetTable* net() { return net_.get(); }
  void* send() { return send_; }
  void* recv() { return recv_; }

 private:
  Meeting* meeting_;
  nccl::Library library_;
  std::unique_ptr<NetTable> net_;
  void* context_ = nullptr;
  void* listen_ = nullptr;
  void* send_ = nullptr;
  void* recv_ = nullptr;
};

// What the receiver saw of one iteration; zeros on the sender.
struct Pass {
  double seconds = 0;
  double steady = 0;
};

Status Send(Pair* pair, const std::vector<size_t>& sizes) {
  SendProxy proxy(pair->net(), pair->send(), sizes, Mark,
                  nccl::Scribble::kNever);
  return Drive(&proxy, "send");
}

Status Receive(Pair* pair, const std::vector<size_t>& sizes, TimePoint start,
               Pass* pass) {
  TimePoint first = 0;
  TimePoint last = 0;
  uint64_t after_first = 0;
  bool in_order = true;
  RecvProxy proxy(
      pair->net(), pair->recv(), sizes, 1,
      [&](size_t index, std::span<std::byte> slot) {
        last = Now();
        if (index == 0) {
          first = last;
        } else {
          after_first += slot.size();
        }
        in_order = in_order && IsMarked(index, slot);
      },
      nccl::Scribble::kNever);
  Status status = Drive(&proxy, "receive");
  if (!status.ok()) return status;
  if (!in_order) return {StatusCode::kCorrupt, "messages changed places"};
  pass->seconds = static_cast<double>(last - start) * kNanoseconds;
  if (last > first) {
    pass->steady = static_cast<double>(after_first) /
                   (static_cast<double>(last - first) * kNanoseconds);
  }
  return status;
}

std::vector<size_t> Cut(const StreamSettings& settings) {
  std::vector<size_t> sizes;
  for (uint64_t at = 0; at < settings.total_bytes; at += settings.slot_bytes) {
    sizes.push_back(std::min(settings.slot_bytes, settings.total_bytes - at));
  }
  return sizes;
}

Status Stream(Meeting* meeting, Pair* pair, const StreamSettings& settings,
              StreamResult* result) {
  const std::vector<size_t> sizes = Cut(settings);
  Gate gate(*meeting);
  Status status = gate.SetUp();
  for (int i = -settings.warm_up; status.ok() && i < settings.iterations; ++i) {
    status = gate.Pass();
    if (!status.ok()) break;
    Pass pass;
    const TimePoint start = Now();
    status = meeting->rank() == 0 ? Send(pair, sizes)
                                  : Receive(pair, sizes, start, &pass);
    if (!status.ok()) break;
    status = meeting->Combine(&pass, 2, DataType::kFloat64, ReduceOp::kSum);
    if (i < 0) continue;
    result->seconds.push_back(pass.seconds);
    result->steady.push_back(pass.steady);
  }
  return status;
}

// One message to the other rank, and one back.
Status PingPong(Meeting* meeting, Pair* pair, size_t bytes) {
  for (int turn = 0; turn < 2; ++turn) {
    Pass ignored;
    Status status = meeting->rank() == turn
                        ? Send(pair, {bytes})
                        : Receive(pair, {bytes}, 0, &ignored);
    if (!status.ok()) return status;
  }
  return {};
}

Status Ping(Meeting* meeting, Pair* pair, const StreamSettings& settings,
            StreamResult* result) {
  for (int i = -settings.warm_up; i < settings.pings; ++i) {
    const TimePoint start = Now();
    Status status = PingPong(meeting, pair, settings.ping_bytes);
    if (!status.ok()) return status;
    if (i < 0) continue;
    result->half_round_trips.push_back(static_cast<double>(Now() - start) / 2 *
                                       kNanoseconds);
  }
  return {};
}

}  // namespace

Result<StreamResult> MeasureStream(const StreamSettings& settings, int* rank) {
  const Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  Result<Star> star = Meeting::Join(*options);
  if (!star.ok()) return star.status();
  *rank = star->rank();
  if (star->size() != 2) {
    return Status(StatusCode::kInvalidArgument,
                  Text("%d ranks; a stream has two", star->size()));
  }
  Meeting meeting(std::move(star).value(), options->site);
  Pair pair(&meeting, settings);
  StreamResult result;
  Status status = pair.Connect();
  if (status.ok()) status = Stream(&meeting, &pair, settings, &result);
  if (status.ok()) status = Ping(&meeting, &pair, settings, &result);
  if (status.ok()) status = meeting.StartBarrier();
  if (!status.ok()) return status;
  return result;
}

}  // namespace longhaul::bench
