// The tuner: which algorithm NCCL takes for a collective whose ranks lie in
// several sites.
//
// Every rank asks its own tuner, and ranks that decide differently hang. So a
// decision is a pure function of the call's arguments and of what is the same
// on every rank: the number of ranks and nodes, the topology file (which must
// be the same everywhere), and, where all ranks are known to have it, what
// CollNet agreed (agreement.h says when). Measurements are not used.
//
// Within one site, and where it is not certain that sites are spanned, NCCL's
// own choice stands. Across sites, Simple only, by function:
//   all-reduce                    CollNetDirect, CollNetChain, Tree, Ring, PAT
//   all-gather, reduce-scatter    CollNetDirect, CollNetChain, Ring, PAT, Tree
//   broadcast, reduce             Tree, Ring
// The first that NCCL offers is made free, everything else dear: LL and LL128
// double or fill up the bytes on the line; NVLS and NVLSTree use chunks of 32
// KiB at most, which no long line is filled with; a ring pays the delay at
// every step. If Simple is not offered, as with NCCL_PROTO=LL, the table stays.
//
// Plain values; const members from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/common.h"
#include "agreement.h"
#include "topology/topology_file.h"

namespace longhaul::nccl {

/// NCCL's own NCCL_BUFFSIZE.
inline constexpr uint64_t kDefaultBufferBytes = uint64_t{4} << 20;

/// What the configuration says; equal on every rank.
struct TunerFacts {
  int sites = 1;
  /// Hosts of the largest site. None if a list has patterns or is empty: any
  /// number may be meant.
  std::optional<size_t> largest_site;
  /// Of the line between sites that holds most; 0: not known, and then channels
  /// and chunks are left to NCCL.
  uint64_t bdp_bytes = 0;
  /// NCCL_BUFFSIZE, per channel.
  uint64_t buffer_bytes = kDefaultBufferBytes;

  /// `buffer_bytes` is left as it is. Where the file states no rate or delay,
  /// HeaviestLine()'s assumptions count.
  static TunerFacts Of(const TopologyFile& file);
};

/// One communicator's, on one rank.
class Tuner {
 public:
  /// `agreement` as found at init; used only if `ranks` == `nodes` ==
  /// agreement->members.
  Tuner(const TunerFacts& facts, const std::optional<Agreement>& agreement,
        size_t ranks, size_t nodes);

  /// Whether the communicator is known to span sites. By the agreement if it
  /// may be used, else if no site has as many hosts as there are nodes.
  bool spans_sites() const { return spans_sites_; }

  /// get_coll_info(): sets the costs, float[algorithms][protocols], and
  /// *channels. Entries of -1 stay.
  ///
  /// *channels is set only where CollNet is not taken: so many that
  /// NCCL_BUFFSIZE per channel holds the BDP, 8 to 64, of which NCCL takes as
  /// many as the communicator has. For CollNet it would use more than there
  /// are, and crash; there, NCCL_MIN_NCHANNELS decides.
  void Price(abi::FuncCode function, float* costs, int algorithms,
             int protocols, int* channels) const;

  /// get_chunk_size(): ChunkSize() of the line and NCCL_BUFFSIZE.
  /// Never below NCCL's choice; NCCL clamps the answer to NCCL_BUFFSIZE / 8.
  /// Leaves all but CollNet and Tree over Simple alone: the buffers of NVLS are
  /// smaller than the clamp believes.
  void ChunkBytes(size_t bytes, int algorithm, int protocol, int channels,
                  size_t* chunk_bytes) const;

 private:
  uint64_t bdp_bytes_;
  uint64_t buffer_bytes_;
  bool spans_sites_;
};

}  // namespace longhaul::nccl
