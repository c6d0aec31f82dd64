#include <gtest/gtest.h>

#include <deque>
#include <utility>

#include "support/endpoint_harness.h"
#include "transport/loopback_endpoint.h"

namespace longhaul {
namespace {

// Both ends are one endpoint, which is joined to itself. It tells one sink of
// everything; who of the two ends has sent what decides which of the tests'
// sinks hears of it.
class LoopbackHarness final : public EndpointHarness, private ChunkSink {
 public:
  LoopbackHarness() : endpoint_(engine_, *this), a_(*this, b_), b_(*this, a_) {}

  Endpoint& a() override { return a_; }
  Endpoint& b() override { return b_; }
  void SetSinks(ChunkSink& a, ChunkSink& b) override {
    a_.sink = &a;
    b_.sink = &b;
  }
  bool joined_to_itself() const override { return true; }
  void DestroyB() override { FAIL() << "b is a"; }
  void SendGarbageToA() override { FAIL() << "there is no line to send it on"; }
  bool RunUntil(const std::function<bool()>& done) override {
    while (!done()) {
      if (!engine_.Turn(++now_)) return false;
    }
    return true;
  }
  void Settle() override {
    while (engine_.Turn(++now_)) {
    }
  }

 private:
  // One of the two ends, as the tests see it.
  class End final : public Endpoint {
   public:
    End(LoopbackHarness& harness, End& other_end)
        : other(other_end), harness_(harness) {}

    bool TrySend(const ChunkHeader& header, ConstBuffer payload,
                 void* cookie) override {
      return Took(flow().TrySend(header, payload, cookie), harness_.data_);
    }
    bool TrySendControl(const ChunkHeader& header,
                        std::span<const uint8_t> payload) override {
      return Took(flow().TrySendControl(header, payload), harness_.control_);
    }
    void Divert() override { flow().Divert(); }
    void Finish() override { flow().Finish(); }
    void Close() override {
      flow().Close();
      harness_.closed_ = true;
    }
    bool Drained() const override { return flow().Drained(); }
    bool reliable() const override { return flow().reliable(); }
    uint32_t max_payload() const override { return flow().max_payload(); }
    EndpointStats Stats() const override { return flow().Stats(); }
    std::string Name() const override { return flow().Name(); }

    End& other;
    ChunkSink* sink = nullptr;
    bool refused = false;

   private:
    LoopbackEndpoint& flow() const { return harness_.endpoint_; }
    bool Took(bool taken, std::deque<End*>& senders) {
      if (taken) senders.push_back(this);
      refused = refused || !taken;
      return taken;
    }

    LoopbackHarness& harness_;
  };

  // ChunkSink
  Buffer Place(Endpoint& /*from*/, const ChunkHeader& header,
               TimePoint now) override {
    End& receiver = SenderOf(header).other;
    return receiver.sink->Place(receiver, header, now);
  }
  void Arrived(Endpoint& /*from*/, const ChunkHeader& header, Buffer payload,
               TimePoint now) override {
    End& receiver = SenderOf(header).other;
    if (IsControl(header)) control_.pop_front();
    receiver.sink->Arrived(receiver, header, payload, now);
  }
  void Sent(Endpoint& /*from*/, void* cookie) override {
    EXPECT_FALSE(closed_);
    End* sender = data_.front();
    data_.pop_front();
    sender->sink->Sent(*sender, cookie);
  }
  void Writable(Endpoint& /*from*/) override {
    EXPECT_FALSE(closed_);
    for (End* end : {&a_, &b_}) {
      if (std::exchange(end->refused, false)) end->sink->Writable(*end);
    }
  }
  void Failed(Endpoint& /*from*/, const Status& why) override {
    ADD_FAILURE() << "it has no peer that could break it: " << why.ToString();
  }

  static bool IsControl(const ChunkHeader& header) {
    return header.kind != FrameKind::kData &&
           header.kind != FrameKind::kPadding;
  }
  End& SenderOf(const ChunkHeader& header) {
    EXPECT_FALSE(closed_);
    return *(IsControl(header) ? control_ : data_).front();
  }

  Engine engine_;
  LoopbackEndpoint endpoint_;
  End a_;
  End b_;
  std::deque<End*> data_;     // who has sent what is on its way
  std::deque<End*> control_;  // the same, of control frames
  bool closed_ = false;
  TimePoint now_ = 0;
};

}  // namespace

std::unique_ptr<EndpointHarness> MakeLoopbackHarness() {
  return std::make_unique<LoopbackHarness>();
}

}  // namespace longhaul
