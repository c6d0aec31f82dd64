// longhaul_floor: how fast the hosts and the line are without longhaul.
#include <memory>
#include <string>

#include "base/parse.h"
#include "floor/exchange.h"
#include "harness/program.h"

namespace {

constexpr const char* kDescription =
    R"(Times the bare exchange of the bytes that an all-reduce over two sites cannot
keep at home: rank j of each site sends S/m bytes to rank j of the other, at the
same time, over one warm TCP connection. Nothing of longhaul is in it. Its time
is the floor: what hosts, kernel and line leave to be reached.

Ranks are started as longhaul_perf's are: by --ranks and --sites 2 on this
machine, or from outside with LONGHAUL_RENDEZVOUS, LONGHAUL_RANK,
LONGHAUL_WORLD_SIZE and LONGHAUL_SITE. The rendezvous also starts the iterations;
--rest makes the lines as idle before each as an all-reduce's own start does.)";

constexpr const char* kEpilogue =
    R"(Exit code: 0 all is well; 1 a fault; 2 wrong usage.

Example:
  lab run --hosts 2 --path rate=500mbit,delay=25ms -- \
      lab spread -- longhaul_floor --address {wan} -b 64M -e 64M -n 5 -w 3 \
      --rest 100ms --bound 500mbit,25ms)";

}  // namespace

int main(int argc, char** argv) {
  using longhaul::bench::ExchangeOptions;
  ExchangeOptions how;
  std::string pace;
  const longhaul::bench::Program program{.name = "longhaul_floor",
                                         .description = kDescription,
                                         .epilogue = kEpilogue,
                                         .has_algorithms = false,
                                         .verifies = false};
  return longhaul::bench::RunProgram(
      program, "longhaul_floor: bare exchange", argc, argv,
      [&how, &pace](const longhaul::bench::Settings&)
          -> longhaul::Result<std::unique_ptr<longhaul::bench::Subject>> {
        how.pace = longhaul::ParseRate(pace).value_or(0);
        if (!pace.empty() && how.pace <= 0) {
          return longhaul::Status(longhaul::StatusCode::kInvalidArgument,
                                  "--pace " + pace + ": a rate, 245mbit");
        }
        return longhaul::bench::JoinExchange(how);
      },
      {{"--cc", "NAME",
        "TCP congestion control of the connections; system: the host's (bbr)",
        &how.congestion_control},
       {"--pace", "RATE",
        "rate at which each connection may send at most, 245mbit (none)",
        &pace},
       {"--address", "ADDR",
        "this rank's address, where its partner reaches it (the one it reaches "
        "the rendezvous from)",
        &how.address}});
}
