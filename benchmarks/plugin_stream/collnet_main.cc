// plugin_collnet: all-reduces through the NCCL plugin's collectives, without
// NCCL.
#include <memory>
#include <string>

#include "base/parse.h"
#include "harness/program.h"
#include "plugin_stream/collnet_subject.h"

namespace {

constexpr const char* kDescription =
    R"(Times all-reduces through ncclCollNetPlugin_vN of libnccl-net-longhaul.so, cut
into calls and kept in flight as NCCL's proxy does: --call-bytes in one call,
--outstanding calls at a time, test() of the oldest only. Every rank is the head
of a node of its own. Results are checked as longhaul_perf's are.

Ranks are started as longhaul_perf's are: by --ranks and --sites on this machine,
or from outside with LONGHAUL_RENDEZVOUS (or MASTER_ADDR and MASTER_PORT),
LONGHAUL_RANK, LONGHAUL_WORLD_SIZE and LONGHAUL_SITE.)";

constexpr const char* kEpilogue =
    R"(Exit code: 0 all is well; 1 a fault; 2 wrong usage; 3 wrong elements.

Example:
  lab run --hosts 2 --path rate=500mbit,delay=25ms -- \
      lab spread --env LONGHAUL_INTERFACES=lan -- plugin_collnet \
      -b 64M -e 64M -n 5 -w 2 --bound 500mbit,25ms --json collnet.json)";

struct Texts {
  std::string plugin;
  std::string version;
  std::string call_bytes;
  std::string outstanding;
};

longhaul::Result<longhaul::bench::CollNetDriving> Read(const Texts& texts) {
  longhaul::bench::CollNetDriving how;
  const auto refuse = [](const std::string& what) {
    return longhaul::Status(longhaul::StatusCode::kInvalidArgument, what);
  };
  if (!texts.plugin.empty()) how.plugin = texts.plugin;
  if (!texts.version.empty()) {
    const auto version = longhaul::ParseInteger(texts.version);
    if (!version) return refuse("--table " + texts.version + ": 8 to 12");
    how.version = static_cast<int>(*version);
  }
  if (!texts.call_bytes.empty()) {
    const auto size = longhaul::ParseSize(texts.call_bytes);
    if (!size) return refuse("--call-bytes " + texts.call_bytes + ": a size");
    how.call_bytes = *size;
  }
  if (!texts.outstanding.empty()) {
    const auto count = longhaul::ParseInteger(texts.outstanding);
    if (!count || *count < 1) {
      return refuse("--outstanding " + texts.outstanding + ": from 1");
    }
    how.outstanding = static_cast<int>(*count);
  }
  return how;
}

}  // namespace

int main(int argc, char** argv) {
  Texts texts;
  const longhaul::bench::Program program{.name = "plugin_collnet",
                                         .description = kDescription,
                                         .epilogue = kEpilogue,
                                         .has_algorithms = false,
                                         .verifies = true};
  return longhaul::bench::RunProgram(
      program, "plugin_collnet: the NCCL plugin's collectives", argc, argv,
      [&texts](const longhaul::bench::Settings&)
          -> longhaul::Result<std::unique_ptr<longhaul::bench::Subject>> {
        const auto how = Read(texts);
        if (!how.ok()) return how.status();
        return longhaul::bench::JoinCollNet(*how);
      },
      {{"--plugin", "FILE", "the library (the one built with this program)",
        &texts.plugin},
       {"--table", "N", "version of the interface, 8 to 12 (12)",
        &texts.version},
       {"--call-bytes", "SIZE", "bytes of one iallreduce (1M)",
        &texts.call_bytes},
       {"--outstanding", "N", "calls in flight (16)", &texts.outstanding}});
}
