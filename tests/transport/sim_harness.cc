#include "support/endpoint_harness.h"
#include "support/frames.h"
#include "transport/sim/sim_world.h"

namespace longhaul {
namespace {

class SimHarness final : public EndpointHarness {
 public:
  explicit SimHarness(const SimLink& link)
      : world_(1, 0), pair_(world_.network().Connect(link, link)) {}

  Endpoint& a() override { return *pair_.first; }
  Endpoint& b() override { return *pair_.second; }
  void SetSinks(ChunkSink& a, ChunkSink& b) override {
    pair_.first->SetSink(a);
    pair_.second->SetSink(b);
  }
  void DestroyB() override { pair_.second.reset(); }
  void SendGarbageToA() override {
    world_.network().CorruptNext(*pair_.first);
    pair_.second->TrySendControl(ControlHeader(0, 0), {});
  }
  bool RunUntil(const std::function<bool()>& done) override {
    return world_.RunUntil(done, world_.now() + 600 * kSecond);
  }
  void Settle() override { world_.RunFor(600 * kSecond); }

 private:
  SimWorld world_;
  SimNetwork::Pair pair_;
};

}  // namespace

std::unique_ptr<EndpointHarness> MakeSimHarness() {
  return std::make_unique<SimHarness>(
      SimLink{.rate = 1e9, .delay = kMillisecond});
}

std::unique_ptr<EndpointHarness> MakeUnsteadySimHarness() {
  return std::make_unique<SimHarness>(
      SimLink{.rate = 2e10, .jitter = kMillisecond});
}

}  // namespace longhaul
