// A whole job in one thread and in virtual time: one rank per simulated
// process, connections over a SimNetwork, runners that play real schedules.
// Links inside a site are fast and short, those between sites as the test says:
// one kind, or several paths of different kinds between every two ranks.
//
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
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
  std::vector<double> site_rates;    ///< bits/s, stated of the sites; or none
  SimLink wan{.rate = 62.5e6, .delay = 25 * kMillisecond};
  std::vector<SimLink> wan_links;  ///< of each path, if there are several
  SimLink lan{.rate = 3e9, .delay = 20 * kMicrosecond};
  int wan_flows = 1;  ///< per path
  Algorithm algorithm = Algorithm::kAuto;
  SegmentOptions segments;
  CodecSpec codec;
  /// Of one rank alone, if that is not -1, another one.
  Rank odd_rank = -1;
  CodecSpec odd_codec{};
  /// What every rank says of its site's line when rates are agreed on.
  std::function<LineRates(Rank)> lines;
  Duration timeout = 10 * kSecond;
  /// How long a connection between sites waits for its flows to be opened
  /// again; 0: they are not.
  Duration reopen = 0;
  uint64_t wan_credit = 4 << 20;
  uint64_t stream_reserve = 64 << 10;
};

class SimJob {
 public:
  SimJob(uint64_t seed, SimJobConfig config)
      : config_(std::move(config)),
        topology_(MakeTopology(config_)),
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
      runner.codec = r == config_.odd_rank ? config_.odd_codec : config_.codec;
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
    sources_.clear();
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

  /// The ends of the flows there are between two ranks, those of `from` first.
  struct Flow {
    SimEndpoint* from;
    SimEndpoint* to;
    FlowId id;
  };
  std::vector<Flow> FlowsBetween(Rank from, Rank to) {
    std::vector<Flow> flows;
    for (const Line& line : lines_[PairOf(from, to)]) {
      if (!line.whole()) continue;
      flows.push_back({line.low->endpoint, line.high->endpoint, line.id});
      if (from > to) std::swap(flows.back().from, flows.back().to);
    }
    return flows;
  }
  /// A path between two ranks turns into a black hole, or is none any more. No
  /// flow can be opened over one.
  void SetHole(Rank from, Rank to, uint16_t path, bool hole) {
    if (hole) {
      holes_.insert({PairOf(from, to), path});
    } else {
      holes_.erase({PairOf(from, to), path});
    }
    for (const Line& line : lines_[PairOf(from, to)]) {
      SimSide* end = line.low->endpoint != nullptr ? line.low : line.high;
      if (line.id.path != path || end->endpoint == nullptr) continue;
      if (hole) {
        world_.network().Blackhole(*end->endpoint);
      } else {
        world_.network().Restore(*end->endpoint);
      }
    }
  }
  /// The link of a path between two ranks, both ways, for what has not left.
  void ChangePath(Rank from, Rank to, uint16_t path, const SimLink& link) {
    for (const Flow& flow : FlowsBetween(from, to)) {
      if (flow.id.path != path) continue;
      world_.network().Change(*flow.from, link);
      world_.network().Change(*flow.to, link);
    }
  }
  size_t path_count() const { return std::max(config_.wan_links.size(), kOne); }
  const SimLink& LinkOf(uint16_t path) const {
    return config_.wan_links.empty() ? config_.wan : config_.wan_links[path];
  }
  /// The process of `rank` is gone from one moment to the next.
  void KillProcess(Rank rank) {
    dead_.insert(rank);
    for (Rank other = 0; other < size(); ++other) {
      for (const Flow& flow : FlowsBetween(rank, other)) {
        world_.network().Kill(*flow.from);
      }
    }
  }
  size_t dead_count() const { return dead_.size(); }
  Connection* Find(Rank from, Rank to) {
    const auto at = connections_.find({from, to});
    return at == connections_.end() ? nullptr : at->second.get();
  }

 private:
  class Directory final : public PeerDirectory {
   public:
    Directory(SimJob& job, Rank self) : job_(job), self_(self) {}
    Connection& To(Rank rank) override { return job_.Connect(self_, rank); }
    LineRates Lines() const override {
      return job_.config_.lines ? job_.config_.lines(self_)
                                : PeerDirectory::Lines();
    }

   private:
    SimJob& job_;
    Rank self_;
  };

  using Pair = std::pair<Rank, Rank>;  // the lower rank first

  /// A flow that was opened, with what stays of its ends.
  struct Line {
    FlowId id;
    SimSide* low = nullptr;
    SimSide* high = nullptr;

    bool whole() const {
      return low->endpoint != nullptr && high->endpoint != nullptr &&
             low->open && high->open;
    }
  };

  /// Opens what was lost between two ranks; the lower one does.
  class Source final : public FlowSource, private Pollable {
   public:
    Source(SimJob& job, Rank self, Rank peer)
        : Pollable(job.engine(self)), job_(job), self_(self), peer_(peer) {}
    void Reopen(const Status& /*why*/, TimePoint now) override {
      for (const FlowId& id : job_.WanFlows()) Want(id, now);
    }
    bool Want(FlowId flow, TimePoint now) override {
      if (self_ > peer_) return false;
      if (std::find(wanted_.begin(), wanted_.end(), flow) == wanted_.end()) {
        wanted_.push_back(flow);
        SetDeadline(now + kHandshake);
      }
      return true;
    }
    void Spare(FlowId flow) override { std::erase(wanted_, flow); }

   private:
    static constexpr Duration kHandshake = 50 * kMillisecond;

    void Poll(uint32_t /*events*/, TimePoint now) override {
      std::vector<FlowId> failed;
      for (const FlowId& id : std::exchange(wanted_, {})) {
        if (!job_.Open(self_, peer_, id)) failed.push_back(id);
      }
      wanted_.insert(wanted_.end(), failed.begin(), failed.end());
      SetDeadline(wanted_.empty() ? kNever : now + kHandshake);
    }

    SimJob& job_;
    const Rank self_;
    const Rank peer_;
    std::vector<FlowId> wanted_;
  };

  static constexpr size_t kOne = 1;

  static Topology MakeTopology(const SimJobConfig& config) {
    if (config.site_rates.empty()) return Topology::OfSizes(config.sites);
    std::vector<SiteSpec> sites;
    std::vector<RankSpec> ranks;
    for (size_t s = 0; s < config.sites.size(); ++s) {
      const double rate = config.site_rates[s];
      sites.push_back({"site" + std::to_string(s), rate, rate});
      for (Rank i = 0; i < config.sites[s]; ++i) {
        RankSpec rank;
        rank.site = static_cast<SiteIndex>(s);
        rank.process = static_cast<int32_t>(ranks.size());
        ranks.push_back(rank);
      }
    }
    return *Topology::Make(std::move(sites), std::move(ranks));
  }

  static size_t Index(Rank rank) { return static_cast<size_t>(rank); }
  static Pair PairOf(Rank a, Rank b) { return std::minmax(a, b); }

  bool Idle() const {
    for (const auto& runner : runners_) {
      if (!runner->idle()) return false;
    }
    return true;
  }

  std::vector<FlowId> WanFlows() const {
    std::vector<FlowId> flows;
    for (uint16_t path = 0; path < path_count(); ++path) {
      for (uint16_t flow = 0; flow < config_.wan_flows; ++flow) {
        flows.push_back({path, flow});
      }
    }
    return flows;
  }

  ConnectionConfig ConfigOf(Rank self, Rank peer) {
    const bool same = topology_.SameSite(self, peer);
    ConnectionConfig config;
    config.peer = "rank " + std::to_string(peer);
    config.timeout = config_.timeout;
    config.outbox.retain = config.inbox.acknowledge = !same;
    config.outbox.chunk_size = same ? 1 << 20 : 64 << 10;
    config.outbox.shared_credit = config.inbox.shared_credit =
        config_.wan_credit;
    config.outbox.stream_reserve = config.inbox.stream_reserve =
        config_.stream_reserve;
    if (same || config_.reopen == 0) return config;
    sources_.push_back(std::make_unique<Source>(*this, self, peer));
    config.reopen = config_.reopen;
    config.source = sources_.back().get();
    return config;
  }

  // Both ends at once, as if the handshake were over.
  Connection& Connect(Rank from, Rank to) {
    if (Connection* connection = Find(from, to)) return *connection;
    for (auto [self, peer] : {std::pair(from, to), std::pair(to, from)}) {
      connections_[{self, peer}] = std::make_unique<Connection>(
          engine(self), *pools_[Index(self)], ConfigOf(self, peer));
    }
    if (topology_.SameSite(from, to)) {
      OpenOver(config_.lan, from, to, {});
    } else {
      for (const FlowId& id : WanFlows())
        OpenOver(LinkOf(id.path), from, to, id);
    }
    return *connections_[{from, to}];
  }

  // False if it cannot be opened now.
  bool Open(Rank from, Rank to, FlowId id) {
    if (holes_.contains({PairOf(from, to), id.path})) return false;
    if (dead_.contains(from) || dead_.contains(to)) return false;
    OpenOver(LinkOf(id.path), from, to, id);
    return true;
  }

  void OpenOver(const SimLink& link, Rank from, Rank to, FlowId id) {
    const auto [low, high] = PairOf(from, to);
    auto [a, b] = world_.network().Connect(link, link);
    SimEndpoint& near = *a;
    SimEndpoint& far = *b;
    const PathInfo path{"path " + std::to_string(id.path), 0};
    Connection& left = *connections_[{low, high}];
    Connection& right = *connections_[{high, low}];
    lines_[{low, high}].push_back({id, &near.side(), &far.side()});
    left.AddFlow(std::move(a), world_.now(), id, path);
    right.AddFlow(std::move(b), world_.now(), id, path);
    near.SetSink(left);
    far.SetSink(right);
  }

  const SimJobConfig config_;
  const Topology topology_;
  SimWorld world_;
  std::vector<std::unique_ptr<BlockPool>> pools_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::map<std::pair<Rank, Rank>, std::unique_ptr<Connection>> connections_;
  std::map<Pair, std::vector<Line>> lines_;
  std::set<std::pair<Pair, uint16_t>> holes_;
  std::set<Rank> dead_;
  std::vector<std::unique_ptr<Directory>> directories_;
  std::vector<std::unique_ptr<ScheduleRunner>> runners_;
  std::vector<OperationTable*> tables_;
};

}  // namespace longhaul
