#include "harness/path_table.h"

#include <cinttypes>
#include <cstring>
#include <type_traits>

#include "base/text.h"

namespace longhaul::bench {
namespace {

static_assert(std::is_trivially_copyable_v<PathFacts>);

double Milliseconds(Duration time) { return static_cast<double>(time) / 1e6; }
double Megabits(double bytes_per_second) { return bytes_per_second * 8 / 1e6; }
double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string Line(const PathFacts& path, double share) {
  const std::string limit =
      path.rate_limit > 0 ? Text("%.1f", Megabits(path.rate_limit)) : "-";
  return Text(
      "# %4d %4d  %-32s %-6s %5llu %9.1f %6.1f%% %8.2f %8.1f %7s %8.2f %8.2f "
      "%7llu %8llu %7llu\n",
      path.rank, path.peer, path.name, path.state,
      static_cast<unsigned long long>(path.flows), Megabytes(path.bytes_sent),
      share * 100, Megabytes(path.payload_restriped), Megabits(path.goodput),
      limit.c_str(), Milliseconds(path.rtt), Milliseconds(path.min_rtt),
      static_cast<unsigned long long>(path.retransmits),
      static_cast<unsigned long long>(path.failures),
      static_cast<unsigned long long>(path.credit_waits));
}

}  // namespace

// Places that are other ranks' are zero, so the sum is all of them.
Result<std::vector<PathFacts>> GatherPaths(Subject& subject) {
  const std::vector<PathFacts> own = subject.Paths();
  auto most = static_cast<uint64_t>(own.size());
  Status status = subject.Combine(&most, 1, DataType::kUint64, ReduceOp::kMax);
  if (!status.ok()) return status;
  const auto ranks = static_cast<size_t>(subject.size());
  std::vector<uint8_t> bytes(ranks * most * sizeof(PathFacts), 0);
  if (bytes.empty()) return std::vector<PathFacts>();
  const size_t first =
      static_cast<size_t>(subject.rank()) * most * sizeof(PathFacts);
  if (!own.empty()) {
    std::memcpy(&bytes[first], own.data(), own.size() * sizeof(PathFacts));
  }
  status = subject.Combine(bytes.data(), bytes.size(), DataType::kUint8,
                           ReduceOp::kSum);
  if (!status.ok()) return status;
  std::vector<PathFacts> all;
  for (size_t at = 0; at < bytes.size(); at += sizeof(PathFacts)) {
    PathFacts path;
    std::memcpy(&path, &bytes[at], sizeof path);
    if (path.name[0] != '\0') all.push_back(path);
  }
  return all;
}

double ShareOf(const PathFacts& path, const std::vector<PathFacts>& all) {
  uint64_t sum = 0;
  for (const PathFacts& other : all) {
    if (other.rank == path.rank && other.peer == path.peer) {
      sum += other.payload_sent;
    }
  }
  if (sum == 0) return 0;
  return static_cast<double>(path.payload_sent) / static_cast<double>(sum);
}

std::string PathTable(const std::vector<PathFacts>& paths) {
  if (paths.empty()) return "";
  std::string text = Text(
      "#\n# Paths between sites, since the start\n"
      "# %4s %4s  %-32s %-6s %5s %9s %7s %8s %8s %7s %8s %8s %7s %8s %7s\n"
      "# %4s %4s  %-32s %-6s %5s %9s %7s %8s %8s %7s %8s %8s %7s %8s %7s\n",
      "rank", "peer", "path", "state", "flows", "sent", "share", "restripd",
      "goodput", "limit", "rtt", "min_rtt", "retx", "failures", "cwaits", "",
      "", "", "", "", "(MB)", "", "(MB)", "(Mb/s)", "(Mb/s)", "(ms)", "(ms)",
      "(pkts)", "", "");
  for (const PathFacts& path : paths) text += Line(path, ShareOf(path, paths));
  return text + "#\n";
}

std::string CodecLine(const CodecFacts& codec) {
  const auto plain = static_cast<double>(codec.plain_bytes);
  const auto coded = static_cast<double>(codec.coded_bytes);
  const std::string name = "Codec " + codec.codec;
  return Text(
      "# %-20s : %" PRIu64
      " operations | rank 0 encoded %.1f MB to %.1f MB (%.2f x) | encode %.3f "
      "s | decode %.3f s\n",
      name.c_str(), codec.operations, plain / 1e6, coded / 1e6,
      coded > 0 ? plain / coded : 0, codec.encode_seconds,
      codec.decode_seconds);
}

}  // namespace longhaul::bench
