// What NCCL should be set to on a job that spans sites, from what is known of
// the lines: buffer, channels and chunks large enough that the line between two
// sites never waits for an answer from the other end.
//
// NCCL hands a network 8 chunks per channel and gives the next one only when
// one comes back. An all-reduce over CollNet comes back after a round trip, so
//
//   channels x NCCL_BUFFSIZE  >=  rate x round trip    (the line's BDP)
//
// for each head: the rank of a host that hands its data to the network. The
// plugin has one device per host, so there is one head per host.
//
// Pure functions of their arguments: every rank that has the same topology file
// gets the same advice. Any thread.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "topology/topology_file.h"

namespace longhaul::nccl {

/// What a line between two sites holds.
struct Line {
  std::string from;          ///< site, of the faster direction
  std::string to;            ///< site
  double rate = 0;           ///< bits/s, all hosts of a site together
  Duration round_trip = 0;   ///< twice the one-way delay
  bool rate_stated = true;   ///< false: kDefaultWanRate stands in
  bool delay_stated = true;  ///< false: kDefaultWanDelay stands in

  /// Bytes on their way when the line is full: rate x round trip, at most 2^50.
  uint64_t Bdp() const;
  /// "paris to tokyo: 10gbit, 80ms there and back", and what is assumed of it.
  std::string ToString() const;
};

/// The direction between two sites that holds most. kInvalidArgument if the
/// file has fewer than two sites.
Result<Line> HeaviestLine(const TopologyFile& file);

/// What is known of the job besides its lines.
struct Job {
  int ranks_per_host = 8;  ///< from 1
  /// From 1: the hosts of a site share its line. 1 is right for any number, at
  /// the price of memory.
  int hosts_per_site = 1;
};

/// One line of a configuration.
struct Setting {
  std::string name;    ///< "NCCL_BUFFSIZE"
  std::string value;   ///< "8388608"
  std::string reason;  ///< one sentence without '='
};

/// All sizes in bytes and powers of two, the same for every rank.
struct Advice {
  Line line;
  uint64_t bdp_per_head = 0;  ///< the line's BDP over the hosts of a site
  int channels = 0;           ///< NCCL_MIN_NCHANNELS and NCCL_MAX_NCHANNELS
  uint64_t buffer_size = 0;   ///< NCCL_BUFFSIZE, per channel
  uint64_t p2p_chunk = 0;     ///< NCCL_P2P_NET_CHUNKSIZE
  /// Pinned host memory CollNet takes per head: a send and a receive half.
  uint64_t collnet_memory = 0;
  /// False if NCCL's own bounds keep a head below the line's BDP.
  bool fills_line = true;
  std::vector<Setting> settings;   ///< variables, in the order to write them
  std::vector<std::string> notes;  ///< what else to know, one sentence each
};

/// `line.rate` and `line.round_trip` are positive.
Advice Advise(const Line& line, const Job& job);

/// Bytes of one chunk of a collective of `bytes` over `channels`, for CollNet
/// and Tree: a multiple of 4 KiB, 32 KiB to NCCL_BUFFSIZE / 8. Large enough
/// that 8 chunks per channel hold two BDPs or the whole message; beyond that,
/// small enough that what CollNet adds to fill the last chunks is about 1/32 at
/// most.
uint64_t ChunkSize(const Advice& advice, uint64_t bytes, int channels);

}  // namespace longhaul::nccl
