// A peer that frames well and means ill. The input is a script: frames with
// headers of the fuzzer's making, on any of three flows, cut off in the middle
// or not, mixed with what a user of the connection does. Whatever it is, no
// receive that is done is written, every op comes back once, and all memory is
// given back. The same for pipes, which share the connection if it retains.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "path/connection.h"
#include "path/pipe.h"

namespace longhaul {
namespace {

constexpr uint8_t kPoison = 0xa5;
constexpr uint64_t kCredit = 256 << 10;
constexpr uint64_t kReserve = 16 << 10;
constexpr uint64_t kRetention = 256 << 10;
constexpr size_t kFlows = 3;
constexpr uint32_t kMostPayload = 4096;

struct Recv : RecvOp {
  std::vector<uint8_t> target;
  int back = 0;
};
struct Send : SendOp {
  int back = 0;
};

class User final : public MessageListener, public MessageObserver {
 public:
  std::array<OperationState, 8> states{};
  int faults = 0;

  void OnSent(SendOp& op, const Status& /*status*/) override {
    ++static_cast<Send&>(op).back;
  }
  void OnReceived(RecvOp& op, const Status& /*status*/) override {
    auto& recv = static_cast<Recv&>(op);
    ++recv.back;
    std::fill(recv.target.begin(), recv.target.end(), kPoison);
  }
  OperationState StateOf(uint32_t /*epoch*/, uint64_t sequence) const override {
    return sequence < states.size() ? states[sequence] : OperationState::kOpen;
  }
  void OnUnexpected(Connection&, const ChunkHeader&) override {}
  void OnDisagreement(Connection&, const RecvOp&, const ChunkHeader&) override {
  }
  void OnNotice(Connection&, const Notice&) override {}
  void OnFault(Connection&, const Status&) override { ++faults; }
};

// Takes what it is given and says so when it pleases the script.
class FakeEndpoint final : public Endpoint {
 public:
  explicit FakeEndpoint(ChunkSink& sink) : sink_(sink) {}

  bool TrySend(const ChunkHeader& header, ConstBuffer payload,
               void* cookie) override {
    LH_CHECK(payload.size == header.size);
    if (closed_ || cookies_.size() == 4) {
      refused_ = true;
      return false;
    }
    cookies_.push_back(cookie);
    return true;
  }
  bool TrySendControl(const ChunkHeader& header,
                      std::span<const uint8_t> payload) override {
    LH_CHECK(payload.size() == header.size && payload.size() % 8 == 0);
    return !closed_;
  }
  void Divert() override { diverted_ = receiving_; }
  void Finish() override {}
  void Close() override {
    closed_ = true;
    cookies_.clear();
  }
  bool Drained() const override { return cookies_.empty(); }
  bool reliable() const override { return true; }
  uint32_t max_payload() const override { return kMaxPayload; }
  EndpointStats Stats() const override { return {}; }
  std::string Name() const override { return "fake"; }

  void Begin(const ChunkHeader& header, TimePoint now) {
    header_ = header;
    place_ = {};
    diverted_ = false;
    receiving_ = true;
    if (header.size > 0 && header.kind != FrameKind::kPadding) {
      place_ = sink_.Place(*this, header, now);
    }
    if (closed_) receiving_ = false;
  }
  void End(const uint8_t* bytes, size_t size, TimePoint now) {
    if (!receiving_) return;
    receiving_ = false;
    if (diverted_) return;
    if (place_.data != nullptr) {
      LH_CHECK(place_.size >= header_.size);
      const size_t part = std::min<size_t>(size, header_.size);
      std::memset(place_.data, 0, header_.size);
      if (part > 0) std::memcpy(place_.data, bytes, part);
    }
    sink_.Arrived(*this, header_, place_, now);
  }
  void Fail() {
    if (closed_) return;
    Close();
    receiving_ = false;
    sink_.Failed(*this,
                 Status(StatusCode::kUnreachable, "cut", FaultScope::kPath));
  }
  void GiveBack() {
    while (!cookies_.empty()) {
      void* cookie = cookies_.front();
      cookies_.erase(cookies_.begin());
      sink_.Sent(*this, cookie);
    }
    if (refused_ && !closed_) {
      refused_ = false;
      sink_.Writable(*this);
    }
  }

 private:
  ChunkSink& sink_;
  std::vector<void*> cookies_;
  ChunkHeader header_;
  Buffer place_;
  bool receiving_ = false;
  bool diverted_ = false;
  bool refused_ = false;
  bool closed_ = false;
};

// Pipes of both directions, whose ends the script opens, uses and shuts.
class Pipes final : public PipeAcceptor {
 public:
  Pipes(Engine& engine, Connection& connection)
      : engine_(engine), hub_(engine, connection, *this) {
    out_.emplace(engine, connection, kNumberOut, uint64_t{1});
  }

  /// All that was posted must have run: a turn is due before.
  ~Pipes() override {
    for (auto& [number, in] : in_) Collect(in);
  }

  bool OnPipe(PipeHub& hub, uint32_t number, uint64_t door,
              std::span<const uint8_t> greeting) override {
    LH_CHECK(greeting.size() <= kLongestGreeting);
    LH_CHECK(!in_.contains(number));
    if (door % 4 == 3) return false;
    in_[number].pipe = std::make_unique<InPipe>(engine_, hub, number);
    return true;
  }

  void Step(uint8_t what, size_t size) {
    if (what % 4 == 0 && out_) {
      PipeRequest* request = out_->Send(source_.data(), size % source_.size());
      if (request != nullptr) sends_.push_back(request);
    } else if (what == 255) {
      sends_.clear();
      out_.reset();
    }
    std::erase_if(sends_, [](PipeRequest* request) {
      const bool done = request->Done();
      if (done) request->Release();
      return done;
    });
    const auto in = in_.find(1 + what / 4 % kNumbers);
    if (in == in_.end()) return;
    Collect(in->second);
    if (what % 4 == 1) Recv(in->second, size);
    if (what % 4 == 2) in_.erase(in);
  }

  static constexpr uint32_t kNumbers = 4;  ///< of pipes from afar

 private:
  static constexpr uint32_t kNumberOut = 9;
  struct Target {
    PipeRequest* request;  ///< null once it is done
    std::vector<uint8_t> bytes;
  };
  // Without the pipe its targets are gone, too.
  struct In {
    std::list<Target> targets;
    std::unique_ptr<InPipe> pipe;
  };

  static void Recv(In& in, size_t size) {
    std::vector<uint8_t> bytes(size);
    PipeRequest* request = in.pipe->Recv(bytes.data(), bytes.size());
    if (request != nullptr) in.targets.push_back({request, std::move(bytes)});
  }

  static void Collect(In& in) {
    for (Target& target : in.targets) {
      if (target.request == nullptr) {
        for (const uint8_t byte : target.bytes) LH_CHECK(byte == kPoison);
      } else if (target.request->Done()) {
        LH_CHECK(target.request->bytes() <= target.bytes.size());
        std::fill(target.bytes.begin(), target.bytes.end(), kPoison);
        target.request->Release();
        target.request = nullptr;
      }
    }
  }

  Engine& engine_;
  std::vector<uint8_t> source_ = std::vector<uint8_t>(30'000, 9);
  std::vector<PipeRequest*> sends_;
  PipeHub hub_;
  std::map<uint32_t, In> in_;
  std::optional<OutPipe> out_;
};

class Script {
 public:
  Script(const uint8_t* data, size_t size) : at_(data), end_(data + size) {
    ConnectionConfig config;
    config.peer = "the fuzzer";
    const bool retain = Byte() % 2 == 0;
    config.outbox.retain = config.inbox.acknowledge = retain;
    config.outbox.chunk_size = 4096;
    config.outbox.retention_limit = config.outbox.retention_most = kRetention;
    config.outbox.shared_credit = config.inbox.shared_credit = kCredit;
    config.outbox.stream_reserve = config.inbox.stream_reserve = kReserve;
    connection_ = std::make_unique<Connection>(engine_, pool_, config);
    connection_->Attach(1, 1, user_);
    if (retain) pipes_.emplace(engine_, *connection_);
    for (FakeEndpoint*& flow : flows_) {
      auto endpoint = std::make_unique<FakeEndpoint>(*connection_);
      flow = endpoint.get();
      connection_->AddFlow(std::move(endpoint), now_);
    }
    for (uint64_t i = 0; i < recvs_.size(); ++i) {
      recvs_[i].id = {1, 0, i, 0, 1, 0};
      recvs_[i].target.assign(i * 700, 0);
      recvs_[i].data = recvs_[i].target.data();
      recvs_[i].size = recvs_[i].target.size();
      recvs_[i].listener = &user_;
      sends_[i].id = {1, 0, i, 1, 0, 0};
      sends_[i].data = source_.data();
      sends_[i].size = i * 3000;
      sends_[i].listener = &user_;
    }
  }

  void Run() {
    while (at_ < end_ && connection_->status().ok()) {
      Step();
      // Endpoints may be gone after a turn if the connection has broken.
      if (!connection_->status().ok()) break;
      engine_.Turn(now_ += kMicrosecond);
    }
    LH_CHECK(user_.faults <= (connection_->status().ok() ? 0 : 1));
    engine_.Turn(now_);
    pipes_.reset();
    connection_.reset();
    LH_CHECK(pool_.bytes_in_use() == 0);
    for (size_t i = 0; i < recvs_.size(); ++i) {
      LH_CHECK(recvs_[i].back == (received_[i] ? 1 : 0));
      LH_CHECK(sends_[i].back == (sent_[i] ? 1 : 0));
      if (recvs_[i].back == 0) continue;
      for (const uint8_t byte : recvs_[i].target) LH_CHECK(byte == kPoison);
    }
  }

 private:
  uint8_t Byte() { return at_ < end_ ? *at_++ : 0; }

  void Step() {
    const uint8_t what = Byte();
    const size_t number = what / 16 % kFlows;
    if (what % 16 > 2 && lost_[number]) return;
    FakeEndpoint& flow = *flows_[number];
    const size_t op = Byte() % recvs_.size();
    switch (what % 16) {
      case 0:
        if (!std::exchange(received_[op], true)) connection_->Recv(recvs_[op]);
        break;
      case 1:
        if (!std::exchange(sent_[op], true)) connection_->Send(sends_[op]);
        break;
      case 2:
        Abort(op);
        break;
      case 3:
        lost_[number] = true;
        flow.Fail();
        break;
      case 4:
        flow.GiveBack();
        break;
      case 5:
        EndFrame(flow);
        break;
      case 14:
        BeginFrame(flow, true, &OfAPipe);
        break;
      case 15:
        if (pipes_) pipes_->Step(Byte(), op * 500);
        break;
      default:
        BeginFrame(flow, what % 16 < 13, [](HeaderBytes&) {});
        break;
    }
  }

  // An operation ends, or a receive is just taken back.
  void Abort(size_t op) {
    const Status why(StatusCode::kAborted, "enough");
    if (Byte() % 2 == 0) {
      if (recvs_[op].posted) connection_->Cancel(recvs_[op], why);
      return;
    }
    user_.states[op] = OperationState::kAborted;
    if (recvs_[op].posted) connection_->Cancel(recvs_[op], why);
    connection_->Cancel(sends_[op], why);
    connection_->Forget({1, 1, 0, op});
  }

  // What fuzzers do not come upon by themselves.
  static void OfAPipe(HeaderBytes& bytes) {
    const uint32_t number = 1 + bytes[20] % Pipes::kNumbers;
    ChunkHeader header;
    header.kind = FrameKind::kData;
    header.flags = bytes[5];
    header.size = LoadLittle<uint32_t>(&bytes[8]);
    header.id = {kPipes, number, LoadLittle<uint64_t>(&bytes[24]),
                 number, 0,      0};
    header.total = LoadLittle<uint64_t>(&bytes[48]);
    header.offset = LoadLittle<uint64_t>(&bytes[56]);
    header.fingerprint.collective = 0xff;
    header.charged_at = LoadLittle<uint64_t>(&bytes[84]);
    EncodeHeader(header, bytes);
  }

  void BeginFrame(FakeEndpoint& flow, bool whole,
                  void (*adjust)(HeaderBytes&)) {
    HeaderBytes bytes{};
    for (uint8_t& byte : bytes) byte = Byte();
    adjust(bytes);
    StoreLittle<uint32_t>(bytes.data(), 0x3143484cu);
    bytes[6] = bytes[7] = 0;  // no codec
    StoreLittle<uint32_t>(&bytes[kHeaderSize - 4],
                          Crc32c(bytes.data(), kHeaderSize - 4));
    const Result<ChunkHeader> header = DecodeHeader(bytes);
    if (!header.ok() || header->size > kMaxPayload) return;
    if (header->kind == FrameKind::kData && header->size > kMostPayload) return;
    EndFrame(flow);
    if (!connection_->status().ok()) return;
    flow.Begin(*header, now_);
    if (whole && connection_->status().ok()) EndFrame(flow);
  }
  void EndFrame(FakeEndpoint& flow) {
    const size_t left = static_cast<size_t>(end_ - at_);
    const size_t size = std::min<size_t>(left, Byte());
    const uint8_t* bytes = at_;
    at_ += std::min(size, static_cast<size_t>(end_ - at_));
    flow.End(bytes, static_cast<size_t>(at_ - bytes), now_);
  }

  const uint8_t* at_;
  const uint8_t* end_;
  TimePoint now_ = kSecond;
  Engine engine_;
  BlockPool pool_{size_t{64} << 20};
  User user_;
  std::vector<uint8_t> source_ = std::vector<uint8_t>(30'000, 7);
  std::array<Recv, 8> recvs_;
  std::array<Send, 8> sends_;
  std::array<bool, 8> received_{};  ///< handed in
  std::array<bool, 8> sent_{};      ///< handed in
  std::array<FakeEndpoint*, kFlows> flows_{};
  std::array<bool, kFlows> lost_{};
  std::unique_ptr<Connection> connection_;
  std::optional<Pipes> pipes_;
};

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::Script(data, size).Run();
  return 0;
}
