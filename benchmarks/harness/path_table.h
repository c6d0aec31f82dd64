// What every path between sites has done in a run, of all ranks: gathered by
// the ranks together, then text for people, or rows for the report.
//
// Pure functions but for GatherPaths; any thread.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/subject.h"

namespace longhaul::bench {

/// Those of all ranks, by rank, peer and place among the peer's. All ranks at
/// once; all get the same.
Result<std::vector<PathFacts>> GatherPaths(Subject& subject);

/// The part of what its rank sent to its peer that left on it, 0 .. 1; of two
/// ranks that sent nothing, 0.
double ShareOf(const PathFacts& path, const std::vector<PathFacts>& all);

/// A line per path behind '#', with headings; empty for no paths.
std::string PathTable(const std::vector<PathFacts>& paths);
/// What a codec did: "# Codec int8 of rank 0 ...".
std::string CodecLine(const CodecFacts& codec);

}  // namespace longhaul::bench
