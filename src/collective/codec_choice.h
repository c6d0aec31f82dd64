// Which codec an all-reduce uses where an error bound was given instead of one:
// the one by which it is done first, by what the lines carry and what the
// slowest rank's processor encodes and decodes; none if that is done first.
//
// Pure functions, with equal answers on every rank; any thread.
#pragma once

#include <longhaul/options.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstdint>

#include "collective/codecs.h"
#include "collective/segment_plan.h"
#include "collective/site_shares.h"
#include "topology/topology.h"

namespace longhaul {

struct CodecChoice {
  Algorithm algorithm = Algorithm::kHierarchical;
  const CodecOffer* offer = nullptr;  ///< null: nothing is encoded
};

/// What is asked for.
struct VectorCall {
  Algorithm wanted = Algorithm::kAuto;
  uint64_t count = 0;
  DataType type = DataType::kFloat32;
  ReduceOp op = ReduceOp::kSum;
};

/// Of `codecs` the one asked for, if it takes the type and the operator; or,
/// where it chooses, the fastest of those that keep the bound. An algorithm
/// that encodes twice errs by the square root of two more. A codec that errs
/// more has to be clearly faster. Faults: as SelectAlgorithm.
Result<CodecChoice> ChooseCodec(const VectorCall& call, const Codecs& codecs,
                                const Topology& topology,
                                const SiteShares& shares,
                                const SegmentOptions& options);

}  // namespace longhaul
