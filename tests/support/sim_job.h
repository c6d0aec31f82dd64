// A whole job in one thread and in virtual time: one rank per simulated
// process, connections over a SimNetwork, runners that play real schedules.
// Links inside a site are fast and short, those between sites as the test says.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "collective/operation.h"
#include "collective/schedule_runner.h"
#include "memory/block_pool.h"
#include "path/connection.h"
#include "topology/topology.h"
#include "transport/sim/sim_world.h"

namespace longhaul {

struct SimJobConfig {
  std::vector<Rank> sites = {1, 1};  ///< ranks per site
  SimLink wan{.rate = 62.5e6, .delay = 25 * kMillisecond};
  SimLink lan{.rate = 3e9, .delay = 20 * kMicrosecond};
  int wan_flows = 1;
  Algorithm algorithm = Algorithm::kAuto;
  SegmentOptions segments;
  Duration timeout = 10 * kSecond;
  uint64_t wan_credit = 4 << 20;
  uint64_t stream_reserve = 64 << 10;
};

class SimJob {
 public:
  SimJob(uint64_t seed, SimJobConfig config)
      : config_(std::move(config)),
        topology_(Topology::OfSizes(config_.sites)),
        world_(seed, static_cast<size_t>(topology_.size())) {
    for (Rank r = 0; r < size(); ++r) {
      pools_.push_back(std::make_unique<BlockPool>(size_t{1} << 30));
      directories_.push_back(std::make_unique<Directory>(*this, r));
    }
    for (Rank r = 0; r < size(); ++r) {
      RunnerConfig runner;
      runner.communicator = 7;
      runner.self = r;
      runner.algorithm = config_.algorithm;
      runner.segments = config_.segments;
      runners_.push_back(std::make_unique<ScheduleRunner>(
          engine(r), topology_, *directories_[Index(r)], runner));
      tables_.push_back(new OperationTable(runners_.back().get()));
    }
  }

  ~SimJob() {
    for (auto& runner : runners_) {
      runner->Abort(Status(StatusCode::kAborted, "the test is over"));
    }
    world_.RunUntil([this] { return Idle(); }, world_.now() + 100 * kSecond);
    runners_.clear();
    connections_.clear();
    for (OperationTable* table : tables_) table->Drop();
  }

  Rank size() const { return topology_.size(); }
  const Topology& topology() const { return topology_; }
  SimWorld& world() { return world_; }
  Engine& engine(Rank rank) { return world_.engine(Index(rank)); }
  ScheduleRunner& runner(Rank rank) { return *runners_[Index(rank)]; }
  BlockPool& pool(Rank rank) { return *pools_[Index(rank)]; }

  /// Issues a call on one rank. The operation is the caller's to Release once
  /// done.
  Operation* Start(Rank rank, const OperationCall& call) {
    Operation* operation = tables_[Index(rank)]->Acquire();
    operation->call = call;
    engine(rank).Post(operation);
    return operation;
  }

  /// The ends of the flows between two ranks, those of `from` first.
  struct Flow {
    SimEndpoint* from;
    SimEndpoint* to;
  };
  std::vector<Flow> FlowsBetween(Rank from, Rank to) {
    std::vector<Flow> flows = flows_[{std::min(from, to), std::max(from, to)}];
    if (from > to) {
      for (Flow& flow : flows) std::swap(flow.from, flow.to);
    }
    return flows;
  }
  /// The process of `rank` is gone from one moment to the next.
  void KillProcess(Rank rank) {
    for (auto& [pair, flows] : flows_) {
      for (const Flow& flow : flows) {
        if (pair.first == rank) world_.network().Kill(*flow.from);
        if (pair.second == rank) world_.network().Kill(*flow.to);
      }
    }
  }
  Connection* Find(Rank from, Rank to) {
    const auto at = connections_.find({from, to});
    return at == connections_.end() ? nullptr : at->second.get();
  }

 private:
  class Directory final : public PeerDirectory {
   public:
    Directory(SimJob& job, Rank self) : job_(job), self_(self) {}
    Connection& To(Rank rank) override { return job_.Connect(self_, rank); }

   private:
    SimJob& job_;
    Rank self_;
  };

  static size_t Index(Rank rank) { return static_cast<size_t>(rank); }

  bool Idle() const {
    for (const auto& runner : runners_) {
      if (!runner->idle()) return false;
    }
    return true;
  }

  // Both ends at once, as if the handshake were over.
  Connection& Connect(Rank from, Rank to) {
    if (Connection* connection = Find(from, to)) return *connection;
    const bool same = topology_.SameSite(from, to);
    for (auto [self, peer] : {std::pair(from, to), std::pair(to, from)}) {
      ConnectionConfig config;
      config.peer = "rank " + std::to_string(peer);
      config.timeout = config_.timeout;
      config.outbox.retain = config.inbox.acknowledge = !same;
      config.outbox.chunk_size = same ? 1 << 20 : 64 << 10;
      config.outbox.shared_credit = config.inbox.shared_credit =
          config_.wan_credit;
      config.outbox.stream_reserve = config.inbox.stream_reserve =
          config_.stream_reserve;
      connections_[{self, peer}] = std::make_unique<Connection>(
          engine(self), *pools_[Index(self)], config);
    }
    const SimLink& link = same ? config_.lan : config_.wan;
    auto& flows = flows_[{std::min(from, to), std::max(from, to)}];
    for (int i = 0; i < (same ? 1 : config_.wan_flows); ++i) {
      auto [a, b] = world_.network().Connect(link, link);
      Flow flow{a.get(), b.get()};
      Connection& left = *connections_[{from, to}];
      Connection& right = *connections_[{to, from}];
      left.AddFlow(std::move(a), world_.now());
      right.AddFlow(std::move(b), world_.now());
      flow.from->SetSink(left);
      flow.to->SetSink(right);
      if (from > to) std::swap(flow.from, flow.to);
      flows.push_back(flow);
    }
    return *connections_[{from, to}];
  }

  const SimJobConfig config_;
  const Topology topology_;
  SimWorld world_;
  std::vector<std::unique_ptr<BlockPool>> pools_;
  std::map<std::pair<Rank, Rank>, std::unique_ptr<Connection>> connections_;
  std::map<std::pair<Rank, Rank>, std::vector<Flow>> flows_;
  std::vector<std::unique_ptr<Directory>> directories_;
  std::vector<std::unique_ptr<ScheduleRunner>> runners_;
  std::vector<OperationTable*> tables_;
};

}  // namespace longhaul
