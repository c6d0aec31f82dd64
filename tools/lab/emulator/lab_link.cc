// lab_link: a long-haul link between two TUN (or TAP) interfaces, each in its
// own network namespace.
#include <sched.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lab/emulator/control.h"
#include "lab/emulator/link.h"
#include "lab/emulator/settings.h"
#include "lab/emulator/tun.h"

namespace longhaul::lab {
namespace {

constexpr char kUsage[] =
    R"(usage: lab_link [OPTION...] A B [SETTING...]    a link between A and B
       lab_link ctl SOCKET [WORD...]           talk to a running one

A and B are [NETNS:]INTERFACE; NETNS is a name under /run/netns, a path, or a
process id. The link lives until SIGINT, SIGTERM or the word "quit".

options
  --ctl SOCKET    listen there (Unix, seqpacket) for control words
  --tap           TAP interfaces instead of TUN
  --mtu BYTES     of both interfaces (1500)
  --memory SIZE   frames held per direction (1gb)
  --seed N        dice
  --fair          do not ask for real-time scheduling
  --spin TIME     wake this early, then poll (30us)
  --with-parent   end when the process that started it ends

settings apply to both directions; "ab." or "ba." in front picks one
  rate=1gbit|none  delay=25ms  jitter=1ms  queue=bdp|2bdp|50ms|1mb  overhead=38
  loss=0.1%  burst=8 (mean burst length)  ge=GO-BAD/GO-GOOD/LOSS-BAD/LOSS-GOOD
  reorder=1%  late=1ms  dup=0.1%  ecn=off|0.1bdp|1ms|100kb (mark above)
  quantum=100us  up  down

control words: settings, "stats", "reset" (counters), "quit"
)";

struct Options {
  LinkOptions link;
  TunOptions tun;
  bool fair = false;
  bool with_parent = false;
  bool help = false;
  std::vector<std::string> words;  // A, B, settings
};

int ParseMtu(const std::string& text) {
  const double mtu = ParseSize(text);
  if (mtu < 576 || mtu > 65535) {
    throw std::invalid_argument("MTU is 576 to 65535: " + text);
  }
  return static_cast<int>(mtu);
}

Options Parse(std::span<const std::string> args) {
  Options options;
  options.link.seed = std::random_device{}();
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    const auto value = [&]() -> const std::string& {
      if (++i == args.size()) throw std::invalid_argument(arg + " needs one");
      return args[i];
    };
    if (arg == "--help") {
      options.help = true;
    } else if (arg == "--tap") {
      options.link.ethernet = options.tun.ethernet = true;
    } else if (arg == "--fair") {
      options.fair = true;
    } else if (arg == "--with-parent") {
      options.with_parent = true;
    } else if (arg == "--ctl") {
      options.link.control = value();
    } else if (arg == "--mtu") {
      options.tun.mtu = ParseMtu(value());
    } else if (arg == "--seed") {
      options.link.seed = static_cast<uint64_t>(ParseSize(value()));
    } else if (arg == "--memory") {
      options.link.memory = static_cast<uint64_t>(ParseSize(value()));
    } else if (arg == "--spin") {
      options.link.wake_early = static_cast<int64_t>(ParseTime(value()));
    } else if (arg.starts_with('-')) {
      throw std::invalid_argument("unknown option: " + arg);
    } else {
      options.words.push_back(arg);
    }
  }
  return options;
}

// Wakes on time: no timer slack, and ahead of the load under test where that is
// permitted. A nice level would not do: under autogroup scheduling it ranks a
// process only within its own session.
void Prioritize(bool fair) {
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const sched_param priority{1};
  if (!fair) (void)::sched_setscheduler(0, SCHED_FIFO, &priority);
}

volatile std::sig_atomic_t g_stop = 0;

int RunLink(const Options& options) {
  if (options.words.size() < 2) {
    throw std::invalid_argument("two interfaces are needed; see --help");
  }
  const auto on_signal = [](int) { g_stop = 1; };
  (void)std::signal(SIGINT, on_signal);
  (void)std::signal(SIGTERM, on_signal);
  if (options.with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  File a = OpenTun(options.words[0], options.tun);
  File b = OpenTun(options.words[1], options.tun);
  Link link(options.link, std::move(a), std::move(b));
  link.Configure(std::span(options.words).subspan(2));
  Prioritize(options.fair);
  link.Run(g_stop);
  std::puts(link.Report().c_str());
  return 0;
}

int RunControl(std::span<const std::string> args) {
  if (args.empty()) throw std::invalid_argument("ctl needs a socket");
  const std::string answer = CallControl(args[0], args.subspan(1));
  std::puts(answer.c_str());
  return answer.starts_with("{\"error\"") ? 1 : 0;
}

int Run(std::span<const std::string> args) {
  if (!args.empty() && args[0] == "ctl") return RunControl(args.subspan(1));
  const Options options = Parse(args);
  if (options.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  return RunLink(options);
}

}  // namespace
}  // namespace longhaul::lab

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> args(argv + 1, argv + argc);
    return longhaul::lab::Run(args);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "lab_link: %s\n", error.what());
    return 1;
  }
}
