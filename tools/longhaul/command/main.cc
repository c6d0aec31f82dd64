// longhaul: what a user runs before and beside a job.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/parse.h"
#include "command/commands.h"
#include "command/version.h"

namespace longhaul::command {
namespace {

constexpr const char* kDescription =
    R"(longhaul makes collective communication work between sites that are far apart.
This command looks after the hosts and settings of such jobs. It changes nothing
but the file it is asked to write, and sends nothing.)";

constexpr const char* kEpilogue =
    R"(Exit code: 0 all is well; 1 something needs to be done; 2 wrong usage, or a file
that cannot be used.

Examples:
  longhaul doctor --wan-rate 10gbit --rtt 80ms
  longhaul plan sites.toml 64M
  longhaul nccl-conf --topology sites.toml --output nccl.conf
  longhaul COMMAND --help)";

constexpr const char* kNcclConfDescription =
    R"(Writes a configuration file for NCCL that fits the lines of a topology file: the
plugin, CollNet, and buffers, channels and chunks so large that the line between
two sites never waits for an answer from the other end. Each value has its reason
above it.

NCCL 2.23 and newer read the file that NCCL_CONF_FILE names; all read
~/.nccl.conf and /etc/nccl.conf. Every rank must have the same values, and
LONGHAUL_TOPOLOGY in it must lead to the topology file on every host. What is set
in the environment wins over the file.)";

constexpr const char* kNcclConfEpilogue =
    R"(How the values come about: the line that holds most (rate x round trip) is looked
for among all pairs of sites. Rates or delays that the file does not state are
assumed, 1 Gbit/s and 25 ms one way, and a comment says so.

Exit code: 0 written; 2 wrong usage, or a file that cannot be read or written.

Examples:
  longhaul nccl-conf --topology sites.toml
  longhaul nccl-conf --topology sites.toml --ranks-per-host 8 \
      --hosts-per-site 4 --output nccl.conf
  export NCCL_CONF_FILE=$PWD/nccl.conf)";

constexpr const char* kDoctorDescription =
    R"(Checks this host for jobs across sites, and says for each check what was found
and, where something should be different, what to change, why, and the commands
that do it. Nothing is changed and nothing is sent: sockets of its own are bound
and closed again, and libraries are loaded in processes of their own.

Run it as the job runs: the same user, container, limits and environment.

  ok       nothing to do
  advice   works, and would be better otherwise
  problem  does not work, or far below what the line could do

Buffers are judged against the line: --wan-rate and --rtt, else the heaviest line
of --topology, else of LONGHAUL_TOPOLOGY, else 1 Gbit/s and 50 ms.)";

constexpr const char* kDoctorEpilogue =
    R"(Exit code: 0 no problem, though there may be advice; 1 at least one problem;
2 wrong usage, or a file that cannot be used.

Examples:
  longhaul doctor --wan-rate 10gbit --rtt 80ms
  longhaul doctor --topology sites.toml --json | jq '.checks[] | .commands')";

constexpr const char* kInfoDescription =
    R"(Shows every option with the value that a job started here would use, and where
the value is from: the environment, another program's variable, or the default.)";

constexpr const char* kInfoEpilogue =
    R"(Exit code: 0; 1 if a variable cannot be read, which is named; 2 wrong usage.

Examples:
  longhaul info
  longhaul info --full | less)";

constexpr const char* kPlanDescription =
    R"(Shows what all-reduces would do on the sites of a topology file, before there is
a job: the sites and lines as longhaul understands them, and for each SIZE (bytes
per rank; K, M and G are powers of 1024) the schedules it considers with the time
each is estimated to take, what no schedule can be faster than, and the one it
would choose, marked *.

  hierarchical  every site sends every other one its sum: one delay
  sharded       each part of the vector is added up in one site, faster sites
                having more of it: two delays, and from three sites on fewer bytes
  ring          round all ranks twice

docs/algorithms.md explains them.)";

constexpr const char* kPlanEpilogue =
    R"(How many ranks there are: a site has as many hosts as its list has exact names, or
what --hosts says, or one; each has --ranks-per-host ranks. Rates and delays that
the file does not state are assumed, 1 Gbit/s and 25 ms one way, and marked so.
LONGHAUL_SEGMENT_SIZE, LONGHAUL_SCRATCH_SIZE and LONGHAUL_COMPRESS count as they would
in a job.

Times are those of lines that are idle, free of loss and at their rate from the
first byte on; --simulate plays each schedule step by step on a model of cards
and lines, where estimates are closed forms.

Exit code: 0; 2 wrong usage, or a file that cannot be used.

Examples:
  longhaul plan sites.toml 1M 64M 1G
  longhaul plan sites.toml 256M --type bf16 --ranks-per-host 8 \
      --hosts paris=4 --hosts tokyo=2 --simulate
  longhaul plan sites.toml 64M --json | jq '.sizes[].chosen')";

// Reads the flag's text by `read`; a refusal says what is accepted.
CLI::Option* Add(CLI::App* app, const std::string& flag, const char* value_name,
                 const char* help, const char* accepted,
                 std::function<bool(const std::string&)> read) {
  CLI::Option* option = app->add_option_function<std::string>(
      flag, [](const std::string&) {}, help);
  option->type_name(value_name);
  option->check([read = std::move(read), accepted](const std::string& text) {
    return read(text) ? std::string()
                      : "'" + text + "' is not accepted: give " + accepted;
  });
  return option;
}

bool ReadCount(const std::string& text, int most, int* out) {
  const std::optional<int64_t> count = ParseInteger(text);
  if (!count || *count < 1 || *count > most) return false;
  *out = static_cast<int>(*count);
  return true;
}

CLI::Option* AddFile(CLI::App* app, const char* flag, const char* help,
                     std::string* out) {
  return Add(app, flag, "FILE", help, "a file name",
             [out](const std::string& text) {
               *out = text;
               return !text.empty();
             });
}

void AddNcclConf(CLI::App* app, NcclConfRequest* request) {
  constexpr int kMost = 1 << 20;
  app->footer(kNcclConfEpilogue);
  AddFile(app, "--topology", "topology file, docs/topology.md",
          &request->topology)
      ->required();
  AddFile(app, "--output,-o", "file to write (stdout)", &request->output);
  app->add_flag("--force", request->force, "replace the file if it is there");
  Add(app, "--ranks-per-host", "N", "ranks, as a rule GPUs, of each host (8)",
      "a number from 1", [=](const std::string& text) {
        return ReadCount(text, kMost, &request->job.ranks_per_host);
      });
  Add(app, "--hosts-per-site", "N",
      "hosts of the smallest site, which share its line (1)", "a number from 1",
      [=](const std::string& text) {
        return ReadCount(text, kMost, &request->job.hosts_per_site);
      });
}

void AddDoctor(CLI::App* app, DoctorRequest* request) {
  app->footer(kDoctorEpilogue);
  CLI::Option* rate =
      Add(app, "--wan-rate", "RATE", "rate of the line between sites, 10gbit",
          "a rate such as 500mbit or 10gbit", [=](const std::string& text) {
            request->rate = ParseRate(text);
            return request->rate && *request->rate > 0;
          });
  CLI::Option* round_trip =
      Add(app, "--rtt", "TIME", "its round-trip time, 80ms",
          "a time such as 80ms", [=](const std::string& text) {
            request->round_trip = ParseTime(text);
            return request->round_trip && *request->round_trip > 0;
          });
  AddFile(app, "--topology", "take both from this topology file",
          &request->topology)
      ->excludes(rate)
      ->excludes(round_trip);
  app->add_flag("--json", request->json, "the findings as JSON");
}

bool ReadHosts(const std::string& text, std::map<std::string, int>* hosts) {
  constexpr int kMost = plan::kMostRanks;
  const size_t equals = text.rfind('=');
  if (equals == 0 || equals == std::string::npos) return false;
  int count = 0;
  if (!ReadCount(text.substr(equals + 1), kMost, &count)) return false;
  (*hosts)[text.substr(0, equals)] = count;
  return true;
}

bool ReadType(const std::string& text, DataType* type) {
  for (int i = 0; i < kDataTypeCount; ++i) {
    if (text != NameOf(static_cast<DataType>(i))) continue;
    *type = static_cast<DataType>(i);
    return true;
  }
  return false;
}

void AddPlanLines(CLI::App* app, PlanRequest* request) {
  CLI::Option* goodput =
      Add(app, "--goodput", "FRACTION",
          "of a line's bytes, what is left behind headers (0.965)",
          "a fraction above 0, at most 1", [=](const std::string& text) {
            const std::optional<double> fraction = ParseNumber(text);
            if (!fraction || !(*fraction > 0 && *fraction <= 1)) return false;
            request->job.cost.goodput = *fraction;
            return true;
          });
  Add(app, "--mtu", "BYTES",
      "the same by the size of packets, TCP over IPv4 (1500)",
      "a number of bytes, 576 to 65535",
      [=](const std::string& text) {
        const std::optional<int64_t> mtu = ParseInteger(text);
        if (!mtu || *mtu < 576 || *mtu > 65535) return false;
        request->job.cost.goodput = GoodputFraction(static_cast<int>(*mtu), 4);
        return true;
      })
      ->excludes(goodput);
}

void AddPlan(CLI::App* app, PlanRequest* request) {
  app->footer(kPlanEpilogue);
  AddFile(app, "TOPOLOGY", "topology file, docs/topology.md",
          &request->topology)
      ->required();
  app->add_option_function<std::vector<std::string>>(
         "SIZE", [](const std::vector<std::string>&) {},
         "bytes per rank: 64M, 1G")
      ->required()
      ->type_name("")
      ->check([=](const std::string& text) {
        const std::optional<uint64_t> size = ParseSize(text);
        if (!size || *size == kUnlimited) {
          return "'" + text + "' is not accepted: give a size such as 64M";
        }
        request->sizes.push_back(*size);
        return std::string();
      });
  Add(app, "--type", "TYPE",
      "of elements: i8 to u64, f16, bf16, f32, f64 (f32)",
      "one of i8, u8, i32, u32, i64, u64, f16, bf16, f32 and f64",
      [=](const std::string& text) {
        return ReadType(text, &request->job.type);
      });
  Add(app, "--ranks-per-host", "N", "ranks of each host (1)", "a number from 1",
      [=](const std::string& text) {
        return ReadCount(text, plan::kMostRanks, &request->job.ranks_per_host);
      });
  Add(app, "--hosts", "SITE=N", "hosts of a site; may be given for each",
      "a site and a number from 1, as in paris=4",
      [=](const std::string& text) {
        return ReadHosts(text, &request->job.hosts);
      })
      ->take_all();
  AddPlanLines(app, request);
  app->add_flag("--simulate", request->job.simulate,
                "play each schedule as well");
  app->add_flag("--json", request->json, "the plan as JSON");
}

// The exit code of a command line that is not to be run: --help, --version,
// wrong usage.
int Refuse(const CLI::App& app, const CLI::ParseError& error) {
  return app.exit(error) == 0 ? kExitOk : kExitUsage;
}

int Run(int argc, const char* const* argv) {
  NcclConfRequest nccl_conf;
  DoctorRequest doctor;
  PlanRequest plan;
  InfoRequest info;
  CLI::App app(kDescription, "longhaul");
  app.footer(kEpilogue);
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("--version", std::string("longhaul ") + Version(),
                       "the version");
  app.get_formatter()->column_width(32);
  app.require_subcommand(0, 1);  // none is refused below, after unknown words
  const auto add = [&](const char* name, const char* description,
                       const char* line) {
    CLI::App* command = app.add_subcommand(name, line);
    command->preparse_callback([=](size_t) {
      command->description(description);  // for --help; `line` is for the list
    });
    return command;
  };
  CLI::App* nccl_conf_command =
      add("nccl-conf", kNcclConfDescription,
          "write NCCL's configuration for a topology file");
  AddNcclConf(nccl_conf_command, &nccl_conf);
  CLI::App* doctor_command =
      add("doctor", kDoctorDescription,
          "check this host and say what to change, and how");
  AddDoctor(doctor_command, &doctor);
  CLI::App* plan_command =
      add("plan", kPlanDescription,
          "show what all-reduces would do on a topology, and how long");
  AddPlan(plan_command, &plan);
  CLI::App* info_command =
      add("info", kInfoDescription, "show all options, values and sources");
  info_command->footer(kInfoEpilogue);
  info_command->add_flag("-f,--full", info.full, "with the help of each");
  try {  // CLI11 reports by exceptions; they end here
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) {
      throw CLI::RequiredError("A command (nccl-conf, doctor, plan or info)");
    }
  } catch (const CLI::ParseError& error) {
    return Refuse(app, error);
  }
  if (nccl_conf_command->parsed()) return RunNcclConf(nccl_conf);
  if (doctor_command->parsed()) return RunDoctor(doctor, environ);
  if (plan_command->parsed()) return RunPlan(plan, environ);
  return RunInfo(info, environ);
}

}  // namespace
}  // namespace longhaul::command

int main(int argc, char** argv) {
  try {
    return longhaul::command::Run(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "longhaul: %s\n", error.what());
    return longhaul::command::kExitUsage;
  }
}
